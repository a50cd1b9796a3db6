"""A user's own rules of redaction: listed beside the bundled ones, and changed by commands.

They stand in `redact.toml` in the home. People write that file too: it is only added to, or has whole rules cut out; everything else
of it stays as it was written. A change is made on a copy, read back, compared with what was meant, and put in place at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from holdfast.errors import HomeError, NotFound, RuleError, UsageError
from holdfast.journal.blobs import write_over
from holdfast.redact import bounds, rules
from holdfast.redact.shapes import KeyBlock, Pattern, SignedToken, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from holdfast.redact.shapes import Shape

PLACEHOLDER = re.compile(r"\[REDACTED:[a-z0-9-]{1,40}:[0-9a-f]{1,8}\]")
RESERVED_KINDS = frozenset(("unchecked",))
_KIND = re.compile(r"[a-z][a-z0-9-]{0,39}\Z")
_TRIAL_BYTES = 200_000
_TRIAL_LIMIT_S = 1.0  # of processor time; the bundled rules take at most a third of it
_LEAST_PREFIX_CHARS = 3
_HEADER = re.compile(r"^[ \t]*\[\[?[ \t]*([A-Za-z0-9_.\"'-]+)[ \t]*\]\]?[ \t]*(?:#.*)?$", re.MULTILINE)
_STRING = re.compile(r"\"\"\".*?\"\"\"|'''.*?'''|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|#[^\n]*", re.DOTALL)
_GENERIC = re.compile(r"-(?:token|key|secret|password|pat|webhook|id|credentials|auth|signature|url).*\Z")
_PROBES = (
    "correct7horse",
    "Tr0ub4dor&3x",
    "9f86d081884c7d65",
    "kXq2Vw9Rt4Zb8Nc3Mf6Yh5Jd1Lg0Pz7S",
    "a1-B2_c3.D4",
)
_BY_HAND = "change the file with an editor; `holdfast redact rules` says whether it can be used"

_BUILT_IN = {
    "KeyBlock": ("private-key", "key block", "the lines between BEGIN and END of a private key"),
    "SignedToken": ("jwt", "signed token", "two to five parts of base64 with dots, the first a JSON header"),
    "Address": ("url-password", "address", "a password or token before the host of a URL"),
    "Header": ("authorization", "header", "what follows Authorization: or Bearer"),
    "Cookies": ("cookie", "cookies", "values of cookies that say who somebody is"),
    "Named": ("", "named", "what follows a name such as DB_PASSWORD, clientSecret or --api-key"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as people are shown it.

    Attributes:
        kind: what stands in its placeholders; None: the name decides.
        form: how it is told: "token", "pattern", or one of the built-in forms.
        what: what it looks for.
        provider: whose secrets these are; None: anybody's.
        own: the user's.
    """

    kind: str | None
    form: str
    what: str
    provider: str | None
    own: bool


def listed(path: Path) -> list[Rule]:
    """Every rule at work, the user's first.

    Raises:
        RuleError: the user's file cannot be used.
    """
    rules.load(path)
    own = _document(_text(path))
    bundled = tomllib.loads((resources.files("holdfast.redact") / "rules.toml").read_text("utf-8"))
    built_in = [Rule(kind or None, form, what, None, own=False) for kind, form, what in _BUILT_IN.values()]
    if own.get("emails"):
        built_in.append(Rule("email", "pattern", "e-mail addresses", None, own=False))
    return [*_entries(own, own=True), *_entries(bundled, own=False), *built_in]


def own_count(path: Path) -> int:
    """How many rules of their own a user has; they stand first among those at work."""
    own = _document(_text(path))
    return len(own.get("token", ())) + len(own.get("pattern", ()))


@dataclass(frozen=True, slots=True)
class Choices:
    """What else a user's file says: whether e-mail addresses are taken out, and what is let through."""

    emails: bool
    values: list[str]
    patterns: list[str]


def choices(path: Path) -> Choices:
    """What a user's file says besides its rules.

    Raises:
        RuleError: it cannot be used.
    """
    rules.load(path)
    own = _document(_text(path))
    allowed = own.get("allow", {})
    return Choices(own.get("emails", False), allowed.get("values", []), allowed.get("patterns", []))


def _entries(document: dict[str, Any], *, own: bool) -> Iterator[Rule]:
    for entry in document.get("token", ()):
        heads = " or ".join(entry["prefixes"])
        what = f"{heads} and {entry['least']} to {entry['most']} of [{entry['chars']}]"
        yield Rule(entry["kind"], "token", what, provider(entry["kind"]), own)
    for entry in document.get("pattern", ()):
        yield Rule(entry["kind"], "pattern", entry["match"], provider(entry["kind"]), own)


def provider(kind: str) -> str | None:
    """Whose secrets a kind names: "github-token" → "github"; None for those that anybody may have."""
    name = _GENERIC.sub("", kind)
    return name if name != kind and name not in _GENERAL else None


_GENERAL = frozenset(("private", "url", "password", "bearer", "basic", "api", "secret", "access", "session"))


def told_by(shape: Shape, number: int, own: int) -> tuple[str, str]:
    """(form, what it looks for) of a rule at work: the `number`th, when the first `own` are the user's."""
    whose = "own " if number < own else ""
    if isinstance(shape, Token):
        heads = ", ".join(prefix.decode(errors="replace") for prefix in shape.prefixes)
        return f"{whose}token", f"begins with {heads}"
    if isinstance(shape, Pattern):
        return f"{whose}pattern", shape.gates[0].decode(errors="replace")
    _, form, what = _BUILT_IN.get(type(shape).__name__, ("", type(shape).__name__, ""))
    return form, what


# ── adding ──


def add_pattern(path: Path, kind: str, match: str) -> None:
    """Add a rule that takes out what `match` matches (its groups `secret…`, where it has some).

    Raises:
        UsageError: it cannot be a rule; the message says why. Nothing was changed.
    """
    _check_kind(kind)
    try:
        bounds.check(match)
        gate = bounds.gate_of(match)
        shape = Pattern(kind, gate, match)
    except (bounds.Unfit, re.error) as exc:
        raise UsageError(f"pattern {match!r}: {exc}", hint=_DOCS) from exc
    _try_out(shape, match)
    _append(path, "pattern", {"kind": kind, "match": match})


def add_token(path: Path, kind: str, prefix: str, chars: str, least: int, most: int) -> None:
    """Add a rule that takes out `prefix` and what follows it: `least` to `most` of `chars`, as in a class of an expression.

    Raises:
        UsageError: it cannot be a rule. Nothing was changed.
    """
    _check_kind(kind)
    if len(prefix) < _LEAST_PREFIX_CHARS or not prefix.isascii() or not prefix.isprintable():
        why = "at least three letters, digits or signs of ASCII, or nearly every text would be looked at closely"
        raise UsageError(f"prefix {prefix!r}: {why}", hint=_DOCS)
    if not 0 < least <= most:
        raise UsageError(
            f"{least} to {most} characters: the least comes first, and is at least 1", hint=_DOCS
        )
    match = f"{re.escape(prefix)}[{chars}]{{{least},{most}}}"
    try:
        bounds.check(match)
        shape = Token(kind, [prefix], chars, least, most)
    except (bounds.Unfit, re.error) as exc:
        raise UsageError(f"characters [{chars}]: {exc}", hint=_DOCS) from exc
    _try_out(shape, match)
    entry = {"kind": kind, "prefixes": [prefix], "chars": chars, "least": least, "most": most}
    _append(path, "token", entry)


_DOCS = "docs/reference/redaction.md shows rules that can be used"


def _check_kind(kind: str) -> None:
    if not _KIND.match(kind) or kind in RESERVED_KINDS:
        why = "a kind is a word of lower-case letters, digits and hyphens, such as acme-key"
        raise UsageError(f"kind {kind!r}: {why}")


_MATCH_MORE = (
    "let the group `secret`, or without one the whole pattern, match more of what is to be taken out"
)


class _TooSlow(Exception):
    pass


def _try_out(shape: Pattern, match: str) -> None:
    """Let a rule look through texts made to be hard for it, and find what it is for."""
    short, long, *others = bounds.examples(match)
    units = [
        short,
        long,
        long[:-1],
        short[:-1] + b" ",
        long + b'\\"',
        short[: len(short) // 2],
        b"a",
        b"0",
        b"\\",
    ]
    with _limited():
        for unit in filter(None, units):
            text = (unit * (_TRIAL_BYTES // len(unit) + 1))[:_TRIAL_BYTES]
            for at in range(0, len(text), 32 << 10):
                for _ in shape.find(text, at, at + (32 << 10)):
                    pass
        matched = [text for text in (short, long, *others) if shape.match.search(text)]
        # what looks around may match none of them: nothing is known of it
        if matched and not any(any(shape.find(text, 0, len(text))) for text in matched):
            why = "what it matches has less than six different characters, or stands in place of a secret (a word of examples, a template)"
            raise UsageError(f"the rule would take nothing out: {why}", hint=_MATCH_MORE)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Stop what takes longer than a rule may. Python's expressions look for signals while they match."""

    def stop(_number: int, _frame: object) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, _TRIAL_LIMIT_S)
    try:
        yield
    except _TooSlow:
        why = f"it takes more than {_TRIAL_LIMIT_S:.0f} s for 200 kB of text made to be hard for it"
        raise UsageError(f"the rule is too slow: {why}", hint=_DOCS) from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _append(path: Path, table: str, entry: dict[str, Any]) -> None:
    lines = "".join(f"{name} = {_literal(value)}\n" for name, value in entry.items())

    def edit(text: str) -> str:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}[[{table}]]\n{lines}"

    def meant(document: dict[str, Any]) -> None:
        entries = document.setdefault(table, [])
        if entry in entries:
            raise UsageError(f"{path} has this rule already")
        entries.append(entry)

    _change(path, edit, meant)


def _literal(value: object) -> str:
    if isinstance(value, str):
        if "'" not in value and value.isprintable():
            return f"'{value}'"
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return str(value)


# ── letting through ──


def looks_certain(path: Path, value: str) -> str | None:
    """The kind of secret that a value is by its own form; None: only its surroundings could tell."""
    text = value.encode("utf-8", "replace")
    for shape in rules.load(path).shapes:
        if isinstance(shape, Token | KeyBlock | SignedToken) and any(shape.find(text, 0, len(text))):
            return shape.kind
    return None


def allow(path: Path, value: str, *, sure: bool = False) -> bool:
    """Let a value through wherever it stands; False: it was let through already.

    The file then holds the value as it is, so it must be none that is secret.

    Args:
        path: the user's file.
        value: the whole of what would be taken out.
        sure: also when its own form says that it is a secret.

    Raises:
        UsageError: it is a placeholder, is empty, or looks like a secret and `sure` is not said.
    """
    if PLACEHOLDER.search(value):
        what = "a placeholder does not say what stood there: four digits of a keyed hash are all that is kept"
        hint = "give the value itself; where its source still exists, `holdfast redact check FILE` says where it stands"
        raise UsageError(what, hint=hint)
    if not value.strip():
        raise UsageError("there is no value to let through")
    if rules.load(path).lets_through(value.encode("utf-8", "replace")):
        return False
    kind = None if sure else looks_certain(path, value)
    if kind is not None:
        what = f"that has the form of a secret ({kind}); {path.name} would hold it, and it would be recorded from now on"
        raise UsageError(what, hint="if it is none, say so with --sure")
    _add_allowed(path, "values", value)
    return True


def allow_pattern(path: Path, pattern: str) -> None:
    """Let through whatever a pattern matches as a whole.

    Raises:
        UsageError: it cannot be used, or would let nearly everything through.
    """
    try:
        bounds.check(pattern)
    except bounds.Unfit as exc:
        raise UsageError(f"pattern {pattern!r}: {exc}", hint=_DOCS) from exc
    if sum(re.fullmatch(pattern, probe) is not None for probe in _PROBES) > 1:
        raise UsageError(f"pattern {pattern!r}: it would let nearly everything through", hint=_DOCS)
    _add_allowed(path, "patterns", pattern)


def _add_allowed(path: Path, name: str, value: str) -> None:
    literal = _literal(value)

    def edit(text: str) -> str:
        if "allow" not in _document(text):
            gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
            return f"{text}{gap}[allow]\n{name} = [\n    {literal},\n]\n"
        start, end = _section(text, "allow")
        begun = re.compile(rf"^[ \t]*{name}[ \t]*=[ \t]*\[(?:[ \t]*#[^\n]*)?", re.MULTILINE).search(
            text, start, end
        )
        if begun is None:
            return f"{text[:start]}\n{name} = [\n    {literal},\n]{text[start:]}"
        return f"{text[: begun.end()]}\n    {literal},{text[begun.end() :]}"

    def meant(document: dict[str, Any]) -> None:
        there = document.setdefault("allow", {}).setdefault(name, [])
        if value in there:
            raise UsageError(f"{path} has this already")
        there.insert(0, value)

    _change(path, edit, meant)


def _section(text: str, name: str) -> tuple[int, int]:
    """Where what stands under [name] begins (behind the header, before its line end), and ends."""
    heads = list(_HEADER.finditer(text))
    for number, head in enumerate(heads):
        if head[1].strip("\"'") == name and not head[0].lstrip().startswith("[["):
            return head.end(), heads[number + 1].start() if number + 1 < len(heads) else len(text)
    raise UsageError(f"[{name}] is written in a way that cannot be added to by a command", hint=_BY_HAND)


# ── taking out again, e-mail addresses ──


def remove(path: Path, what: str) -> list[str]:
    """Take out every rule of the user's of a kind, and what is let through by this name; returns what was removed, in words.

    Raises:
        NotFound: there is nothing of the kind.
        RuleError: the user's file cannot be used.
    """
    rules.load(path)
    document = _document(_text(path))
    gone = []
    for table in ("token", "pattern"):
        numbers = [at for at, entry in enumerate(document.get(table, ())) if entry.get("kind") == what]
        for number in reversed(numbers):
            _change(path, *_without_rule(table, number))
            gone.append(f"{table} of kind {what}")
    for name in ("values", "patterns"):
        if what in document.get("allow", {}).get(name, ()):
            _change(path, *_without_allowed(name, what))
            gone.append(f"one of the {name} that are let through")
    if not gone:
        hint = "`holdfast redact rules --own` lists yours; bundled rules cannot be removed, but values can be let through"
        raise NotFound(f"{path} has no rule of this kind and lets nothing through by this name", hint=hint)
    return gone


_Edit = tuple["Callable[[str], str]", "Callable[[dict[str, Any]], None]"]


def _without_rule(table: str, number: int) -> _Edit:
    def edit(text: str) -> str:
        heads = list(_HEADER.finditer(text))
        ours = [at for at, head in enumerate(heads) if re.match(rf"\[\[\s*{table}\s*\]\]", head[0].strip())]
        if number >= len(ours):
            raise UsageError(
                f"[[{table}]] is written in a way that cannot be changed by a command", hint=_BY_HAND
            )
        head = ours[number]
        start = heads[head].start()
        end = heads[head + 1].start() if head + 1 < len(heads) else len(text)
        block = text[start:end]
        told = re.compile(r"(?:^[ \t]*(?:#[^\n]*)?\n?)+\Z", re.MULTILINE).search(block)
        kept = block[told.start() :].lstrip("\n") if told else ""  # comments about what follows
        return text[:start] + kept + text[end:]

    def meant(document: dict[str, Any]) -> None:
        del document[table][number]
        if not document[table]:
            del document[table]

    return edit, meant


def _without_allowed(name: str, value: str) -> _Edit:
    def edit(text: str) -> str:
        start, end = _section(text, "allow")
        begun = re.compile(rf"^[ \t]*{name}[ \t]*=[ \t]*\[", re.MULTILINE).search(text, start, end)
        at = end if begun is None else begun.end()
        while at < end and (found := _STRING.search(text, at, end)):
            at = found.end()
            if not found[0].startswith("#") and tomllib.loads(f"x = {found[0]}")["x"] == value:
                comma = re.compile(r"[ \t]*,").match(text, at)
                last = comma.end() if comma else at
                before, after = text[: found.start()], text[last:]
                line = before.rpartition("\n")[2]
                if not line.strip() and re.match(r"[ \t]*\n", after):
                    before, after = before[: len(before) - len(line)], after.partition("\n")[2]
                return before + after
        raise UsageError("it is written in a way that cannot be changed by a command", hint=_BY_HAND)

    def meant(document: dict[str, Any]) -> None:
        document["allow"][name].remove(value)

    return edit, meant


def set_emails(path: Path, *, on: bool) -> bool:
    """Take e-mail addresses out too, or not; False: it was so already.

    Raises:
        RuleError: the user's file cannot be used.
    """
    rules.load(path)
    word = "true" if on else "false"
    if bool(_document(_text(path)).get("emails", False)) is on:
        return False

    def edit(text: str) -> str:
        head = _HEADER.search(text)
        said = re.compile(r"^([ \t]*emails[ \t]*=[ \t]*)(?:true|false)", re.MULTILINE).search(
            text, 0, head.start() if head else len(text)
        )
        if said is None:
            return f"emails = {word}\n{text}"
        return text[: said.start()] + said[1] + word + text[said.end() :]

    def meant(document: dict[str, Any]) -> None:
        document["emails"] = on

    _change(path, edit, meant)
    return True


# ── the file ──


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as exc:
        raise RuleError(path, str(exc)) from exc


def _document(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _change(path: Path, edit: Callable[[str], str], meant: Callable[[dict[str, Any]], None]) -> None:
    """Put an edited file in place, if it says what was meant and can be used.

    Raises:
        RuleError: the file cannot be used as it is.
        UsageError: the edit does not come to what was meant.
        HomeError: it cannot be written.
    """
    rules.load(path)
    place = path.resolve()  # it may be a link to where somebody keeps such files
    try:
        directory = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            text = _text(place)
            document = _document(text)
            meant(document)
            new = edit(text)
            if not _says(new, document):
                raise UsageError(
                    f"{path} is written in a way that cannot be changed by a command", hint=_BY_HAND
                )
            _replace(place, new)
        finally:
            os.close(directory)
    except OSError as exc:
        raise HomeError(
            f"{path}: cannot be written: {exc.strerror}", hint="make room or repair access"
        ) from exc


def _says(text: str, document: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == document
    except tomllib.TOMLDecodeError:
        return False


def _replace(place: Path, text: str) -> None:
    """Write the file anew, unless what is written could not be used."""

    def check(temporary: Path) -> None:
        try:
            rules.load(temporary)
        except RuleError as exc:
            raise UsageError(str(exc).replace(str(temporary), str(place)), hint=exc.hint) from exc

    write_over(place, text.encode(), check=check)
