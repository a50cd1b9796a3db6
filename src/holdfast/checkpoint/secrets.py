"""Which files are left out of checkpoints unless asked for, because they look as if they held secrets.

Only files that git does not track are judged: a tracked one is in the repository anyway, and leaving its changes out would lose work.
By name first, also under the names that editors and people give to copies; texts also by what stands at their beginning. What redaction
knows for sure counts everywhere: a provider's token, a private key. Words such as `password = …` stand in many sources, so what only a name
tells counts in files of settings alone (JSON, YAML, TOML, INI and the like).
"""

from __future__ import annotations

import re
from typing import Final

TEXT_LIMIT_BYTES: Final = 64 << 10  # of a file, from its beginning, that are searched
_HEAD_BYTES: Final = 8_000  # a NUL in it says that it is no text, as git has it
_NAMES: Final = re.compile(
    rb"""
      \.env(?:rc|\..+)? | .+\.env
    | id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:\.old|\.bak)? | .+\.(?:pem|key|p12|pfx|pkcs12|jks|keystore|kdbx|ppk|asc|gpg|pgp|ovpn|agekey)
    | \.netrc | _netrc | \.npmrc | \.pypirc | \.git-credentials | \.dockercfg | \.htpasswd | \.pgpass | \.my\.cnf | \.boto | \.s3cfg
    | credentials(?:\.(?:json|toml|ya?ml|ini|csv|db))? | .*client_secret.*\.json | .*service[-_]?account.*\.json
    | \.?secrets?(?:\.(?:json|toml|ya?ml|ini|txt|env|properties))? | .+\.tfvars(?:\.json)? | .*\.tfstate(?:\.backup)?
    | kubeconfig | .+\.kubeconfig | vault[-_]?pass(?:word)?(?:\.txt)? | .+_rsa | auth\.json | token\.json | tokens\.json
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_EXAMPLES: Final = re.compile(
    rb".*(?:example|sample|template|dist|default)s?(?:\.[a-z]+)?", re.IGNORECASE | re.DOTALL
)
_KEYS: Final = (  # whatever the rest of the name says: nobody needs an example of these, and in most of them no search finds anything
    b".key", b".pem", b".p12", b".pfx", b".pkcs12", b".jks", b".keystore", b".kdbx", b".ppk",
)  # fmt: skip
_SETTINGS: Final = re.compile(
    rb".*\.(?:json[c5]?|ya?ml|toml|ini|cfg|conf|config|properties|plist|xml|env)|\.[^.]+|config",
    re.IGNORECASE | re.DOTALL,
)
_COPY: Final = re.compile(  # what editors and people put around the name of a copy
    rb"(?:\.?\#)?(?P<name>.+?)(?:~|\#|\.(?:bak|backup|old|orig|save|saved|copy|tmp|rej|sw[a-p]|[0-9]{1,3})|[ ](?:copy|\([0-9]{1,3}\)))+",
    re.IGNORECASE | re.DOTALL,
)
_PLACES: Final = re.compile(rb"(?:\A|/)(?:\.ssh|\.gnupg|\.aws|\.kube|\.docker|\.azure)/", re.IGNORECASE)


def by_name(path: bytes) -> bool:
    """Whether a path looks as if secrets lay there."""
    return _PLACES.search(path) is not None or any(map(_tells, _names(path)))


def is_settings(path: bytes) -> bool:
    """Whether a file holds settings: there a name alone may tell that a secret follows."""
    return any(map(_SETTINGS.fullmatch, _names(path)))


def _names(path: bytes) -> set[bytes]:
    """What a file was called before it was copied, and before it was hidden."""
    name = path.rpartition(b"/")[2]
    copied = _COPY.fullmatch(name)
    name = name if copied is None else copied["name"]
    return {name, name.removeprefix(b".")}


def _tells(name: bytes) -> bool:
    return _NAMES.fullmatch(name) is not None and (
        name.lower().endswith(_KEYS) or not _EXAMPLES.fullmatch(name)
    )


def text_of(content: bytes) -> bytes | None:
    """The beginning of a file as UTF-8, for a search; None: it is no text, as git has it, and none in UTF-16 either."""
    head = content[:TEXT_LIMIT_BYTES]
    if b"\0" not in head[:_HEAD_BYTES]:
        return head
    encoding = _wide(head[:_HEAD_BYTES])
    return None if encoding is None else head.decode(encoding, "replace").encode("utf-8", "replace")


def _wide(head: bytes) -> str | None:
    """The encoding of a text of two bytes a character, most of them Latin; None: it is none."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    first, second = head[::2], head[1::2]
    for encoding, zeros, others in (("utf-16-le", second, first), ("utf-16-be", first, second)):
        if zeros.count(0) * 2 > len(zeros) and 0 not in others:
            return encoding
    return None
