"""Words that say what a program does: `docker push`, `kubectl apply`."""

from __future__ import annotations

from typing import Final, NamedTuple


class Verbs(NamedTuple):
    """Words of a program, one or two of them as they follow each other, that do something of a kind."""

    kind: str
    verbs: frozenset[str]
    whole: bool = False  # if it fails, nothing was done


def _verbs(kind: str, words: str, *, whole: bool = False) -> Verbs:
    return Verbs(kind, frozenset(words.replace(",", " ").split("|")), whole)


def _split(words: str) -> str:
    return "|".join(words.split())


_NODE: Final = (
    _verbs("publish", "publish|unpublish|npm publish|dist-tag add|deprecate", whole=True),
    _verbs(
        "install",
        _split("install i ci add remove uninstall update upgrade rm un link") + "|global add",
    ),
)
_TERRAFORM: Final = (
    _verbs("deploy", "apply|destroy|import|taint|untaint|state rm|state mv|state push|run-all apply"),
)
_CONTAINER: Final = (
    _verbs("publish", "push|image push|manifest push|compose push"),
    _verbs(
        "delete",
        "rm|rmi|container rm|image rm|volume rm|network rm|system prune|volume prune|image prune|container prune|builder prune",
    ),
    _verbs("kill", "kill|stop|container kill|container stop|compose down|compose stop|compose kill"),
)
SERVICE: Final = "start|stop|restart|reload|enable|disable|mask|unmask|kill|daemon-reload"
TABLE: Final[dict[str, tuple[Verbs, ...]]] = {
    "alembic": (_verbs("database", "upgrade|downgrade|stamp"),),
    "apk": (_verbs("install", "add|del|upgrade"),),
    "apt": (_verbs("install", "install|remove|purge|upgrade|full-upgrade|autoremove"),),
    "apt-get": (_verbs("install", "install|remove|purge|upgrade|dist-upgrade|autoremove"),),
    "brew": (_verbs("install", "install|uninstall|upgrade|reinstall|remove"),),
    "bun": _NODE,
    "bundle": (_verbs("install", "install|add|update|remove"),),
    "cargo": (
        _verbs("publish", "publish|yank", whole=True),
        _verbs("install", "install|add|remove|uninstall|update"),
    ),
    "cdk": (_verbs("deploy", "deploy|destroy"),),
    "changeset": (_verbs("publish", "publish"),),
    "composer": (_verbs("install", "install|require|update|remove"),),
    "conda": (_verbs("install", "install|remove|create|update|env create|env update"),),
    "dnf": (_verbs("install", "install|remove|upgrade|update"),),
    "docker": _CONTAINER,
    "docker-compose": (_verbs("publish", "push"), _verbs("kill", "down|stop|kill")),
    "dotnet": (_verbs("publish", "nuget push", whole=True), _verbs("install", "add package|tool install")),
    "firebase": (_verbs("deploy", "deploy"),),
    "flit": (_verbs("publish", "publish"), _verbs("install", "install")),
    "fly": (_verbs("deploy", "deploy|launch|apps destroy|apps create|secrets set|secrets unset"),),
    "flyctl": (_verbs("deploy", "deploy|launch|apps destroy|apps create|secrets set|secrets unset"),),
    "flyway": (_verbs("database", "migrate|clean|repair|baseline"),),
    "gem": (_verbs("publish", "push|yank", whole=True), _verbs("install", "install|uninstall|update")),
    "go": (_verbs("install", "install|get|mod download|mod tidy"),),
    "goreleaser": (_verbs("release", "release"),),
    "gradle": (_verbs("publish", "publish|publishToMavenCentral"),),
    "gradlew": (_verbs("publish", "publish|publishToMavenCentral"),),
    "hatch": (_verbs("publish", "publish"),),
    "helm": (
        _verbs("deploy", "install|upgrade|uninstall|delete|rollback"),
        _verbs("publish", "push"),
    ),
    "kubectl": (
        _verbs(
            "deploy",
            _split("apply create delete patch replace scale set edit annotate label drain cordon uncordon")
            + "|taint|expose|autoscale|rollout restart|rollout undo|rollout pause|rollout resume",
        ),
    ),
    "lerna": (_verbs("publish", "publish"),),
    "mise": (_verbs("install", "install|use|upgrade|uninstall"),),
    "mvn": (_verbs("publish", "deploy"),),
    "netlify": (_verbs("deploy", "deploy"),),
    "npm": (*_NODE, _verbs("commit", "version")),
    "oc": (_verbs("deploy", "apply|create|delete|patch|replace|scale|rollout restart|rollout undo"),),
    "pdm": (_verbs("publish", "publish"), _verbs("install", "add|install|remove|update|sync")),
    "pip": (_verbs("install", "install|uninstall"),),
    "pip3": (_verbs("install", "install|uninstall"),),
    "pipx": (_verbs("install", "install|uninstall|upgrade|inject"),),
    "pnpm": _NODE,
    "podman": _CONTAINER,
    "poetry": (
        _verbs("publish", "publish"),
        _verbs("install", "add|install|remove|update|sync|self add"),
    ),
    "prisma": (_verbs("database", "migrate deploy|migrate dev|migrate reset|db push|db execute"),),
    "pulumi": (_verbs("deploy", "up|update|destroy|import|state delete"),),
    "serverless": (_verbs("deploy", "deploy|remove"),),
    "sls": (_verbs("deploy", "deploy|remove"),),
    "systemctl": (_verbs("service", SERVICE),),
    "terraform": _TERRAFORM,
    "terragrunt": _TERRAFORM,
    "tofu": _TERRAFORM,
    "twine": (_verbs("publish", "upload"),),
    "uv": (
        _verbs("publish", "publish"),
        _verbs("install", "add|remove|sync|pip install|pip uninstall|pip sync|tool install|tool upgrade"),
    ),
    "vercel": (_verbs("deploy", "deploy|rollback|promote|remove|--prod"),),
    "vsce": (_verbs("publish", "publish|unpublish", whole=True),),
    "wrangler": (
        _verbs("deploy", "deploy|publish|delete|rollback|secret put|pages deploy|d1 migrations apply"),
    ),
    "yarn": _NODE,
    "yum": (_verbs("install", "install|remove|update"),),
}
CONTEXT: Final = {  # options with a value that may stand before the word which says what is done
    "cargo": {"--manifest-path", "--config", "-Z"},
    "docker": {"-H", "--host", "-c", "--context", "--config", "-f", "--file", "-p", "--profile"},
    "docker-compose": {"-f", "--file", "-p", "--profile", "--env-file"},
    "helm": {"-n", "--namespace", "--kube-context", "--kubeconfig"},
    "kubectl": {"-n", "--namespace", "--context", "--kubeconfig", "--cluster", "--user", "-s", "--server"},
    "npm": {"--prefix", "-C", "-w", "--workspace"},
    "pip": {"--python"},
    "pnpm": {"-C", "--dir", "--filter", "-F"},
    "poetry": {"-C", "--directory", "-P", "--project"},
    "uv": {"--project", "--directory"},
    "yarn": {"--cwd"},
}
