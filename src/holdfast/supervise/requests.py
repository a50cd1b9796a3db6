"""Requests to deploy an agent, and answers to them: what a coordinator writes, what is wrong with it, what it is told.

A request is one JSON object in a file of its own (`mailbox.py`). Everything here is pure.

    {"request_id": text,             the same one twice is one deployment; needed
     "argv": [text, …],              the command; left out: what `deploy_commands` says for the type and model
     "agent_id": text,               the coordinator's own name for the agent, such as "L2.2.1"
     "parent_agent_id": text,        such a name, our id, or the name of an agent; one that nobody here has is kept as it is told
     "agent_name": text, "agent_type": "L1" | "L2" | "L3" | text, "model": text, "prompt": text, "task": text,
     "cwd": text,                    left out: that of the parent, else the user's own directory
     "env": {text: text},            added to the environment
     "restart": "never" | "on-failure" | "ask",
     "load_percentage": number, "estimated_duration": seconds, "metadata": {…}}

Null is as good as left out. Members that are not named here are kept with the request and mean nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from holdfast.ids import short
from holdfast.supervise.spec import RESTARTS, Restart

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

LIMIT_BYTES: Final = 1 << 20  # of a request
ID_CHARS: Final = 200
NAME_CHARS: Final = 128
_WORD_BYTES: Final = 131_071  # the longest argument that Linux gives a program (MAX_ARG_STRLEN, with its NUL)
_MOST_WORDS: Final = 1_000
_MOST_SECONDS: Final = 10**9
ANY: Final = "*"  # in `deploy_commands`: whatever the type and model
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_OURS = "HOLDFAST_"  # variables that tell an agent who it is


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that can be understood. None: not said. `load_percentage` runs from 0 to 100, `estimated_duration` is in seconds."""

    request_id: str
    argv: list[str] | None = None
    agent_id: str | None = None
    parent_agent_id: str | None = None
    agent_name: str | None = None
    agent_type: str | None = None
    model: str | None = None
    prompt: str | None = None
    task: str | None = None
    cwd: str | None = None
    env: dict[str, str] = msgspec.field(default_factory=dict)
    restart: Restart = "never"
    load_percentage: float | None = None
    estimated_duration: float | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a coordinator is told: once, and the same again.

    Attributes:
        request_id: of the request; None: it could not be read.
        agent_id: the coordinator's own name for the agent, else ours.
        agent: our id; None: nothing was started.
        status: pending, spawning, running, completed, failed or cancelled, as it was when it was answered.
        pid: of the agent's process; None: it is not known, or there is none.
        started_at: ISO 8601.
        message: what was done, in words.
        error: what is wrong; None: nothing is.
    """

    request_id: str | None
    agent_id: str | None = None
    agent: str | None = None
    status: str
    pid: int | None = None
    started_at: str | None = None
    message: str | None = None
    error: str | None = None


class Refused(NamedTuple):
    """A request that is not carried out. `request_id` is None where none could be read."""

    request_id: str | None
    faults: tuple[str, ...]

    def answer(self) -> Answer:
        """What the coordinator is told of it."""
        return Answer(
            request_id=self.request_id,
            status="failed",
            message="nothing was started; mend the request and write it again, under the same request_id or another",
            error="; ".join(self.faults),
        )


_decode = msgspec.json.Decoder().decode


def parse(raw: bytes) -> dict[str, Any] | str:
    """The object that stands in a file, else why it is none. What is only the beginning of an object is none."""
    try:
        value = _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        return f"it is not JSON: {exc}" if raw.strip() else "it is empty"
    except RecursionError:
        return "it is nested too deeply"
    return value if isinstance(value, dict) else f"expected one JSON object, got {_shown(value)}"


def read(body: Mapping[str, Any]) -> Request | Refused:
    """Check every member of a request; all that is wrong is told at once."""
    faults: list[str] = []
    values: dict[str, Any] = {}
    for name, check in _CHECKS.items():
        given = body.get(name)
        if given is None:
            continue
        try:
            values[name] = check(given)
        except ValueError as exc:
            faults.append(f"{name}: expected {exc}, got {_shown(given)}")
    if "request_id" not in values and body.get("request_id") is None:
        faults.insert(0, f"request_id: required but not given; expected {_ID}")
    if faults:
        return Refused(_id_in(body), tuple(faults))
    return Request(**values)


def _id_in(body: Mapping[str, Any]) -> str | None:
    """The request's id, also one that is refused, so that the answer can be found by it."""
    given = body.get("request_id")
    return given if isinstance(given, str) and given else None


# ── the members ──

_ID = f"1 to {ID_CHARS} characters without control characters and slashes"


def _id(value: object) -> str:
    if (
        not isinstance(value, str)
        or not 0 < len(value) <= ID_CHARS
        or _CONTROL.search(value)
        or value in {".", ".."}
        or "/" in value
        or "\\" in value
    ):
        raise ValueError(_ID)
    return value


def _line(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS or _CONTROL.search(value):
        raise ValueError(f"1 to {NAME_CHARS} characters without control characters")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("text without NUL")
    return value


def _argv(value: object) -> list[str]:
    if (
        not isinstance(value, list)
        or not 0 < len(value) <= _MOST_WORDS
        or not all(isinstance(word, str) and "\0" not in word for word in value)
        or not value[0]
    ):
        raise ValueError(f"a list of 1 to {_MOST_WORDS} texts without NUL, of which the first is the program")
    if any(len(word.encode()) > _WORD_BYTES for word in value):
        raise ValueError(f"words of at most {_WORD_BYTES:,} bytes")
    return value


def _directory(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError("an absolute path")
    return value


def _env(value: object) -> dict[str, str]:
    if (
        not isinstance(value, dict)
        or len(value) > _MOST_WORDS
        or not all(_VARIABLE.match(name) for name in value)
        or not all(
            isinstance(text, str) and "\0" not in text and len(text.encode()) <= _WORD_BYTES
            for text in value.values()
        )
    ):
        raise ValueError("an object of names of variables and texts without NUL")
    if any(name.startswith(_OURS) for name in value):
        raise ValueError(f"no variable that begins with {_OURS}, which tell an agent who it is")
    return value


def _restart(value: object) -> str:
    if value not in RESTARTS:
        raise ValueError(" or ".join(RESTARTS))
    return str(value)


def _share(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 100:
        raise ValueError("a number from 0 to 100")
    return float(value)


def _seconds(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= _MOST_SECONDS:
        raise ValueError("a number of seconds")
    return float(value)


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("an object")  # noqa: TRY004 - one way out for every bad value
    return value


_CHECKS: Final[Mapping[str, Callable[[object], Any]]] = {
    "request_id": _id,
    "argv": _argv,
    "agent_id": _id,
    "parent_agent_id": _id,
    "agent_name": _line,
    "agent_type": _line,
    "model": _line,
    "prompt": _text,
    "task": _text,
    "cwd": _directory,
    "env": _env,
    "restart": _restart,
    "load_percentage": _share,
    "estimated_duration": _seconds,
    "metadata": _object,
}


def _shown(value: object) -> str:
    """A value in a message: short, and nothing of it that could be a secret."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, str):
        return repr(value) if len(value) <= 40 else f"text of {len(value)} characters"
    return msgspec.json.encode(value).decode()[:40]


# ── file names ──


def stem(request_id: str) -> str:
    """What files of a request are called, whatever its id is.

    An id of 1 to 100 letters, digits, `-`, `_` and `.` that does not begin with a dot is its own stem. Every other one becomes `%`
    and the first 32 hexadecimal digits of the SHA-256 of its UTF-8.
    """
    return request_id if _PLAIN.match(request_id) else f"%{short(request_id, 32)}"


def agent_id(request_id: str, letter: str, attempt: int = 0) -> str:
    """The id that the agent of a request gets: the same each time, so that a deployment that was cut goes on.

    Args:
        request_id: the request's.
        letter: what tells its file from every other, so that a request whose agent was removed, and that is made again, is another one.
        attempt: counts ids that agents of other requests have.
    """
    return short(f"request/{attempt}/{letter}/{request_id}", 12)


# ── the command of a request that names none ──

PLACEHOLDERS: Final = (
    "prompt",
    "prompt_file",
    "model",
    "agent_id",
    "agent_name",
    "agent_type",
    "request_id",
    "cwd",
)
_PLACEHOLDER = re.compile("{(" + "|".join(PLACEHOLDERS) + ")}")


def template(request: Request, templates: Mapping[str, Sequence[str]]) -> Sequence[str] | None:
    """What `deploy_commands` says for a request: for "TYPE/MODEL", else the type, else the model, else `*`; None: nothing."""
    kind, model = request.agent_type or "", request.model or ""
    names = (f"{kind}/{model}" if kind and model else "", kind, model, ANY)
    return next((templates[name] for name in names if name and name in templates), None)


def command(words: Sequence[str], values: Mapping[str, str]) -> list[str] | Refused:
    """Put values in the places of a template's `{names}`, each once: what a value says is no place of another.

    Args:
        words: the template.
        values: by name; one that is not there is refused.
    """
    missing = {found[1] for word in words for found in _PLACEHOLDER.finditer(word) if found[1] not in values}
    if missing:
        needed = ", ".join(sorted(missing))
        return Refused(values.get("request_id"), (f"{needed}: the command in deploy_commands needs it",))
    return [_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in words]


def no_command(request: Request) -> Refused:
    """What is said where nothing tells which command a request means."""
    kind = f"agent_type {request.agent_type!r}" if request.agent_type else "a request without agent_type"
    why = f"argv: not given, and the setting deploy_commands says no command for {kind} and model {request.model!r}"
    return Refused(request.request_id, (why,))
