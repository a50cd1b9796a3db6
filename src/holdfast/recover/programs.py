"""What a program does to files and to other machines, by its name and arguments.

Only what the arguments say for certain is told. A program that is not known here, a script or a `make` target may do anything, and
nothing is said of it, except where its very name says that it deploys or publishes: that is told as not sure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.recover import forges, git_words, http_words
from holdfast.recover.deeds import Deed, head, named, option, plain, word_set
from holdfast.recover.verbs import CONTEXT, SERVICE, TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.recover.shell import Command

_ASKS: Final = {"--help", "--version", "--dry-run", "--dryrun", "--dry-run=client", "--dry-run=server"}


_RELEASES = re.compile(r"(?:\A|[-_:./])(deploy|publish|release)(?:\Z|[-_:./])", re.IGNORECASE)
_TARGETS: Final = {"make", "gmake", "just", "task", "rake", "invoke", "nox", "tox"}
_SQL = re.compile(
    r"(?:\A|;|\n|\bbegin\b|\bas\s*\(|\))\s*(?:insert\s+into|insert\s+or|update\s+\S+\s+set|delete\s+from|drop\s|alter\s|create\s"
    r"|truncate\s|replace\s+into|grant\s|revoke\s|merge\s+into|vacuum|reindex|attach\s)",
    re.IGNORECASE,
)
_SQL_OPTIONS: Final = {
    "psql": ({"-c", "--command"}, {"-f", "--file"}),
    "mysql": ({"-e", "--execute"}, set[str]()),
    "mariadb": ({"-e", "--execute"}, set[str]()),
    "duckdb": ({"-c", "-s"}, set[str]()),
}
_REDIS: Final = word_set(
    "set setex setnx mset del unlink expire flushall flushdb hset hdel lpush rpush lpop rpop sadd srem zadd zrem incr decr rename xadd"
)
_MONGO = re.compile(r"\.(?:insert|update|delete|replace|drop|remove|bulkWrite|createIndex|rename)\w*\s*\(")
_CODE = re.compile(
    r"requests\.(?:post|put|patch|delete)|httpx\.(?:post|put|patch|delete)|urlopen\([^)]*data|subprocess|os\.system|os\.remove|os\.unlink"
    r"|os\.rename|os\.kill|shutil\.|rmtree|\.unlink\(|\.rmdir\(|write_text|write_bytes|\bopen\([^)]*(?:,|mode=)\s*['\"][wax]b?\+?['\"]|writeFile|unlinkSync"
    r"|rmSync|fs\.rm|execSync|spawn\(|method:\s*['\"](?:POST|PUT|PATCH|DELETE)|File\.write|smtplib"
)
_CODE_OPTIONS: Final = {
    "python": {"-c"},
    "node": {"-e", "--eval", "-p"},
    "ruby": {"-e"},
    "perl": {"-e"},
    "deno": {"eval"},
    "php": {"-r"},
}
_CLOUD_VERB = re.compile(
    r"(?:create|delete|put|update|start|stop|reboot|terminate|run|send|publish|invoke|modify|attach|detach|register|deregister|remove"
    r"|add|set|tag|untag|restore|copy|deploy|enable|disable|associate|disassociate|authorize|revoke|import|cancel|execute|reset|restart)"
    r"(?:-[a-z0-9-]+)?\Z"
)
_CLOUD_GROUPS: Final = {"run", "deploy", "import", "tag", "set"}  # words that are also names of groups
_REMOTE = re.compile(r"(?:[\w.@%+-]+@)?[\w.%\[\]-]+:(?!\\)|(?:rsync|sftp|scp|ssh)://", re.ASCII)
_BUCKET = re.compile(r"(?:s3|gs)://")


def deeds(command: Command) -> Iterator[Deed]:
    """What a command does, files that its output goes to included."""
    for path in command.writes:
        yield Deed("write", head(path), whole=False)
    words = [word for word in command.words if word]
    if not words or _ASKS.intersection(words):
        return
    words[0] = words[0].rpartition("/")[2] or words[0]
    words[0] = re.sub(r"\A(python|pip)[\d.]+\Z", r"\1", words[0])
    if words[:2] == ["python", "-m"] and len(words) > 2:
        words = words[2:]
    rule = _RULES.get(words[0])
    if rule is not None:
        yield from rule(words, command.stdin)
    if words[0] in TABLE:
        yield from _by_table(words)
    elif rule is None:
        yield from _by_name(words)


def _by_table(words: list[str]) -> Iterator[Deed]:
    rest = plain(words[1:], frozenset(CONTEXT.get(words[0], ())))
    flags = {word for word in words[1:] if word.startswith("--")}
    pairs = [" ".join(rest[:count]) for count in (3, 2, 1) if len(rest) >= count]
    if words == ["yarn"]:
        yield Deed("install", "yarn", whole=False)
    for verbs in TABLE[words[0]]:
        said = next((pair for pair in pairs if pair in verbs.verbs), None) or next(
            iter(verbs.verbs & flags), None
        )
        if said is not None:
            yield Deed(verbs.kind, named(words), whole=verbs.whole)
            return
    if words[0] in {"npm", "pnpm", "yarn", "bun"}:
        yield from _by_name([words[0], *rest])
    if words[0] in {"docker", "podman"} and "--push" in flags:
        yield Deed("publish", named(words), whole=False)


def _by_name(words: list[str]) -> Iterator[Deed]:
    """A script or a target that is called after what it does."""
    program = words[0]
    told = words[1:3] if program in _TARGETS or program in {"npm", "pnpm", "yarn", "bun"} else [program]
    if program in {"bash", "sh", "zsh"}:
        told = [word for word in words[1:] if not word.startswith("-")][:1]
    if any(_RELEASES.search(word.rpartition("/")[2]) for word in told) and not program.startswith("-"):
        yield Deed("deploy", named(words), whole=False, sure=False)


# ── programs with rules of their own ──


def _twice(kind: str, *, whole: bool = False) -> Callable[[list[str], str | None], Iterator[Deed]]:
    """A rule for programs that always do the same to what they are given."""

    def rule(words: list[str], _stdin: str | None) -> Iterator[Deed]:
        given = [word for word in words[1:] if not word.startswith("-")]
        if given:
            yield Deed(kind, head(" ".join(given)), whole=whole)

    return rule


def _kill(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    asks = {"-0", "-l", "-L"} if words[0] == "kill" else {"-l", "--list"}
    if len(words) > 1 and not asks.intersection(words):
        yield Deed("kill", named(words), whole=False)


def _find(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    runs = [
        words[at + 1].rpartition("/")[2]
        for at, word in enumerate(words[:-1])
        if word in {"-exec", "-execdir", "-ok"}
    ]
    if "-delete" in words or {"rm", "unlink", "rmdir", "shred"}.intersection(runs):
        yield Deed("delete", named(words), whole=False)
    elif "mv" in runs:
        yield Deed("move", named(words), whole=False)


def _sed(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    inplace = any(re.match(r"-(?!-)[a-zA-Z]*i|--in-place", word) for word in words[1:])
    if inplace and not (words[0] == "perl" and not any(re.match(r"-\w*[pn]", word) for word in words[1:])):
        given = [word for word in words[1:] if not word.startswith("-")]
        yield Deed("write", head(" ".join(given[1:]) or named(words)), whole=False)
    elif words[0] == "perl":
        yield from _code(words, None)


def _tee(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    given = [word for word in words[1:] if not word.startswith(("-", "/dev/"))]
    if given:
        yield Deed("write", head(" ".join(given)), whole=False)


def _copied(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    given = plain(words[1:], frozenset({"-t", "--target-directory", "-m", "-o", "-g", "-S"}))
    target = option(words, {"-t", "--target-directory"}) or (given[-1] if len(given) > 1 else None)
    if target:
        yield Deed("write", head(target), whole=False)


def _dd(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    target = next((word[3:] for word in words[1:] if word.startswith("of=")), None)
    if target and target != "/dev/null":
        yield Deed("write", head(target), whole=False)


def _patch(words: list[str], stdin: str | None) -> Iterator[Deed]:
    given = [word for word in words[1:] if not word.startswith("-")]
    if stdin or given or option(words, {"-i", "--input"}):
        yield Deed("write", named(words), whole=False)


def _apply_patch(words: list[str], stdin: str | None) -> Iterator[Deed]:
    yield from patched(stdin or " ".join(words[1:]))


def patched(text: str) -> Iterator[Deed]:
    """The files that a patch in Codex's form names."""
    for operation, path in re.findall(
        r"^\*\*\* (Add File|Update File|Delete File|Move to): (.{1,1000}?)\s*$", text, re.MULTILINE
    ):
        kind = {"Delete File": "delete", "Move to": "move"}.get(operation, "write")
        yield Deed(kind, head(path), whole=True)


def _remote(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """ssh: what it is told to run on another machine; whether that changed anything there is not known."""
    valued = frozenset(f"-{letter}" for letter in "bcDEeFIiJLlmOopQRSWw")
    given = plain(words[1:], valued)
    if given and not {"-V", "-G", "-Q"}.intersection(words):
        host, told = given[0], " ".join(given[1:])
        if not host.startswith("git@"):
            yield Deed("remote", head(f"{host}: {told}" if told else host), whole=False, sure=bool(told))


def _transfer(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """scp, rsync: to another machine, or from it or within this one into a file."""
    short = "".join(word[1:] for word in words[1:] if re.match(r"-[a-zA-Z]+\Z", word))
    if words[0] == "rsync" and "n" in short:
        return
    valued = frozenset({"-e", "--rsh", "--exclude", "--include", "-i", "-P", "-F", "-o", "-f", "--filter"})
    if words[0] == "rsync":
        valued -= {"-P", "-F", "-i", "-o"}
    given = plain(words[1:], valued)
    if len(given) > 1:
        kind = "remote" if _REMOTE.match(given[-1]) else "write"
        yield Deed(
            kind, head(f"{words[0]} {' '.join(given)}" if kind == "remote" else given[-1]), whole=False
        )


def _sftp(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    yield Deed("remote", named(words), whole=False, sure=False)


def _database(words: list[str], stdin: str | None) -> Iterator[Deed]:
    texts, files = _SQL_OPTIONS[words[0]]
    texts_given = [*_values(words, texts), *([stdin] if stdin else [])]
    for text in texts_given:
        if _SQL.search(_without_comments(text)):
            yield Deed("database", head(f"{words[0]}: {text}"), whole=False)
            return
    if not texts_given and (found := option(words, files)):
        yield Deed("database", head(f"{words[0]} runs {found}"), whole=False, sure=False)


def _sqlite(words: list[str], stdin: str | None) -> Iterator[Deed]:
    given = plain(words[1:], frozenset({"-cmd", "-init", "-separator", "-nullvalue"}))
    for text in [*given[1:], *_values(words, {"-cmd"}), *([stdin] if stdin else [])]:
        if _SQL.search(_without_comments(text)) or text.lstrip().startswith((".import", ".restore")):
            yield Deed("database", head(f"sqlite3 {given[0] if given else ''}: {text}"), whole=False)
            return


def _redis(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    given = plain(words[1:], frozenset({"-h", "-p", "-a", "-n", "-u", "-s"}))
    if given and given[0].lower() in _REDIS:
        yield Deed("database", head(f"redis-cli {' '.join(given)}"), whole=False)


def _mongo(words: list[str], stdin: str | None) -> Iterator[Deed]:
    for text in [*_values(words, {"--eval"}), *([stdin] if stdin else [])]:
        if _MONGO.search(text):
            yield Deed("database", head(f"{words[0]}: {text}"), whole=False)
            return


def _without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)


def _values(words: list[str], options: set[str]) -> list[str]:
    """Every value that one of these options is given."""
    out = [words[at + 1] for at, word in enumerate(words[:-1]) if word in options]
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if equals and name in options:
            out.append(value)
        elif len(word) > 2 and word[:2] in options and word[1] != "-":
            out.append(word[2:])
    return out


def _code(words: list[str], stdin: str | None) -> Iterator[Deed]:
    """Code given on the command line: what it names may have been done, or not."""
    given = words[1:]
    texts = [
        given[at + 1] for at, word in enumerate(given[:-1]) if word in _CODE_OPTIONS.get(words[0], set())
    ]
    if words[:3] == ["manage.py", "migrate"] or (
        given and given[0].endswith("manage.py") and "migrate" in given
    ):
        yield Deed("database", named(words), whole=False)
    if not texts and stdin and (not given or given == ["-"]):
        texts = [stdin]
    for text in texts:
        if found := _CODE.search(text):
            yield Deed("code", head(f"{words[0]} code with {found[0]}"), whole=False, sure=False)
            return
    if given and given[0].endswith("setup.py") and {"upload", "register"}.intersection(given):
        yield Deed("publish", named(words), whole=False)


def _mail(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    asks = (
        {"-H", "-e", "-f", "-bp", "-bv", "-bt", "-q"}
        if words[0] != "sendmail"
        else {"-bp", "-bv", "-bt", "-q"}
    )
    given = plain(words[1:], frozenset({"-s", "-a", "-r", "-c", "-b", "-f", "-A", "-S", "-i", "-F"}))
    if not asks.intersection(words[1:]) and (given or words[0] in {"sendmail", "msmtp", "swaks"}):
        yield Deed("mail", head(f"to {' '.join(given)}" if given else words[0]), whole=False)


def _aws(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    rest = plain(words[1:], frozenset({"--profile", "--region", "--output", "--endpoint-url", "--query"}))
    if rest[:1] == ["s3"]:
        verb, places = rest[1] if len(rest) > 1 else "", rest[2:]
        if verb in {"rm", "mb", "rb", "mv"} or (
            verb in {"cp", "sync"} and len(places) > 1 and _BUCKET.match(places[1])
        ):
            yield Deed("deploy", head(f"aws {' '.join(rest)}"), whole=False)
        elif verb in {"cp", "sync"} and len(places) > 1 and places[1] != "-":
            yield Deed("write", head(places[1]), whole=False)
    elif len(rest) > 1 and _CLOUD_VERB.match(rest[1]):
        yield Deed("deploy", head(f"aws {' '.join(rest[:4])}"), whole=False)


def _gsutil(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    rest = plain(words[1:], frozenset({"-o", "-h", "-u"}))
    verb, places = (rest[0] if rest else ""), rest[1:]
    if verb in {"rm", "mb", "rb", "mv"} or (verb in {"cp", "rsync"} and places and _BUCKET.match(places[-1])):
        yield Deed("deploy", head(f"gsutil {' '.join(rest)}"), whole=False)


def _cloud(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    """gcloud, az: the word that says what is done follows the names of groups."""
    rest = plain(words[1:], frozenset({"--project", "--account", "-g", "--resource-group", "-n", "--name"}))
    for at, word in enumerate(rest[:5]):
        if _CLOUD_VERB.match(word) and not (at == 0 and word in _CLOUD_GROUPS) and word != "config":
            if rest[0] not in {"config", "auth", "init", "components", "login"}:
                yield Deed("deploy", head(f"{words[0]} {' '.join(rest[: at + 3])}"), whole=False)
            return


def _ansible(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    asks = {"--check", "-C", "--syntax-check", "--list-tasks", "--list-hosts", "--list-tags"}
    if len(words) > 1 and not asks.intersection(words):
        yield Deed("deploy", named(words), whole=False)


def _pacman(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    if any(re.match(r"-[SRU][a-z]*\Z", word) and not re.search(r"[sil]", word[2:]) for word in words[1:]):
        yield Deed("install", named(words), whole=False)


def _rails(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    if any(re.match(r"db:(?:migrate|rollback|reset|drop|create|seed|setup|schema:load)\Z", w) for w in words):
        yield Deed("database", named(words), whole=False)
    else:
        yield from _by_name(words)


def _heroku(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    said = words[1] if len(words) > 1 else ""
    if re.search(r":(?:set|unset|add|create|destroy|release|push|restart|scale|rollback|promote)\Z", said):
        yield Deed("deploy", named(words), whole=False)


def _service(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    if len(words) > 2 and words[2] in SERVICE.split("|"):
        yield Deed("service", named(words), whole=False)


def _crontab(words: list[str], _stdin: str | None) -> Iterator[Deed]:
    if len(words) > 1 and "-l" not in words:
        yield Deed("service", named(words), whole=False)


_RULES: Final[dict[str, Callable[[list[str], str | None], Iterator[Deed]]]] = {
    "ansible-playbook": _ansible,
    "apply_patch": _apply_patch,
    "applypatch": _apply_patch,
    "aws": _aws,
    "az": _cloud,
    "cp": _copied,
    "crontab": _crontab,
    "curl": http_words.curl,
    "dd": _dd,
    "deno": _code,
    "duckdb": _database,
    "find": _find,
    "gcloud": _cloud,
    "gh": forges.gh,
    "git": git_words.git,
    "glab": forges.glab,
    "gsutil": _gsutil,
    "heroku": _heroku,
    "http": http_words.httpie,
    "https": http_words.httpie,
    "hub": forges.hub,
    "install": _copied,
    "kill": _kill,
    "killall": _kill,
    "ln": _copied,
    "mail": _mail,
    "mailx": _mail,
    "mariadb": _database,
    "mongo": _mongo,
    "mongosh": _mongo,
    "msmtp": _mail,
    "mutt": _mail,
    "mv": _twice("move"),
    "mysql": _database,
    "node": _code,
    "pacman": _pacman,
    "patch": _patch,
    "perl": _sed,
    "php": _code,
    "pkill": _kill,
    "psql": _database,
    "python": _code,
    "rails": _rails,
    "rake": _rails,
    "redis-cli": _redis,
    "rm": _twice("delete"),
    "rmdir": _twice("delete"),
    "rsync": _transfer,
    "ruby": _code,
    "scp": _transfer,
    "sed": _sed,
    "sendmail": _mail,
    "service": _service,
    "sftp": _sftp,
    "shred": _twice("delete"),
    "sqlite3": _sqlite,
    "ssh": _remote,
    "swaks": _mail,
    "tee": _tee,
    "touch": _twice("write"),
    "trash": _twice("delete"),
    "truncate": _tee,
    "unlink": _twice("delete"),
    "wget": http_words.wget,
    "xh": http_words.httpie,
    "xhs": http_words.httpie,
}
