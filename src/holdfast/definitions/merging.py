"""Two texts that were made of one → one text, or where they contradict each other. Pure.

.md .yaml .yml   front matter, or all of it, key by key; what the agent is told by lines
.toml            top-level key by top-level key, table by table
others           by lines

A key is a range of lines: the comments directly above it, and its value. Ranges are moved and merged by lines and nothing is ever written anew, so comments,
quotes and indentation stay as somebody wrote them. The order of keys is that of `ours`. What is no mapping of plain keys, each in a line of its own, is merged by lines;
a front matter that is none is one thing, which only one may have changed.

Changes to lines that touch contradict each other, as they do for diff3(1): nobody knows whether the one still makes sense beside the other. Whatever comes out must
be as well formed as what went in, and must say for each key what the one who changed it says; else it is a conflict. What cannot be read cannot be asked that.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from holdfast.definitions import lines as three_lines
from holdfast.definitions import plain_data, plain_yaml
from holdfast.definitions.findings import ERROR, Finding
from holdfast.definitions.lines import Clash, Kept, Line, Piece, Three, by_lines, joined
from holdfast.definitions.parse import SUFFIXES, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.definitions.plain_yaml import Field

_STRANGE = re.compile("[\r\x85\u2028\u2029\ud800-\udfff]")  # ends lines for YAML alone; is no UTF-8
_NEITHER = "merged, it would say something that neither of them says"
_NO_KEY = (" ", "\t", "{", "?", "&", "!", "*", "---")  # no plain key in a line of its own begins so


@dataclass(frozen=True, slots=True)
class Conflict:
    """Where two texts contradict each other.

    Attributes:
        where: the key; "": what the agent is told, or the text as a whole.
        line: in `ours`, from 1; None: it has nothing there.
        base: what stood there; "": nothing.
        ours: what stands there; "": nothing.
        theirs: the same of the other text.
        why: "" where both changed the same lines.
    """

    where: str
    line: int | None
    base: str
    ours: str
    theirs: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """What came out.

    Attributes:
        content: the bytes; None: there are conflicts.
        conflicts: in their order; (): there are none.
        marked: the bytes, with both versions between marks where there is a conflict.
    """

    content: bytes | None
    conflicts: tuple[Conflict, ...]
    marked: bytes


def merge(base: bytes | None, ours: bytes, theirs: bytes, suffix: str) -> Merged:
    """Merge two contents.

    Args:
        base: what both were made of; None: there was nothing.
        ours: what became of it.
        theirs: what became of it elsewhere.
        suffix: of the file's name (".md"), which says what it is.
    """
    if theirs in (ours, base):
        return Merged(ours, (), ours)
    if base == ours:
        return Merged(theirs, (), theirs)
    three = Three(three_lines.read(base or b""), three_lines.read(ours), three_lines.read(theirs))
    keyed = _by_keys(three, suffix.lower(), is_new=base is None)
    pieces = keyed or [*by_lines(*three.lines)]
    made = three_lines.written(three, pieces)
    if not any(isinstance(piece, Clash) for piece in pieces) and (
        why := _wrong(_Contents(base or b"", ours, theirs, made), suffix, keyed=bool(keyed))
    ):
        pieces = [Clash("", [], [*three.ours.lines], [*three.theirs.lines], why)]
        made = three_lines.written(three, pieces)
    conflicts = tuple(_told(piece) for piece in pieces if isinstance(piece, Clash))
    return Merged(None if conflicts else made, conflicts, made)


def _told(clash: Clash) -> Conflict:
    line = clash.ours[0].number if clash.ours else None
    base, ours, theirs = (joined(lines) for lines in (clash.base, clash.ours, clash.theirs))
    return Conflict(clash.where, line, base, ours, theirs, clash.why)


class _Contents(NamedTuple):
    """Three that went in, and what came out."""

    base: bytes
    ours: bytes
    theirs: bytes
    made: bytes


def _wrong(contents: _Contents, suffix: str, *, keyed: bool) -> str:
    """Why what came out is not to be taken; "" where it is. `keyed`: its keys were merged and compared before."""
    if suffix.lower() not in SUFFIXES:
        return ""
    base, ours, theirs, made = (parse(content, suffix) for content in contents)
    before = _ill(ours.findings) | _ill(theirs.findings)
    after = _ill(made.findings)
    if worse := next((one.text for one in made.findings if after[one.code] > before[one.code]), ""):
        return worse
    if keyed:
        return ""
    if any(one.salvaged for one in (base, ours, theirs, made)):
        return "one of them cannot be read, so nobody knows what it would say"
    said = (_said(one.fields) for one in (base, ours, theirs, made))
    return "" if _says_both(*said, unmixed=True) else _NEITHER


def _ill(findings: tuple[Finding, ...]) -> Counter[str]:
    """What of a form is wrong, and how often."""
    return Counter(one.code for one in findings if one.level == ERROR or one.code == "duplicate-key")


# ── by keys ──


class _Entry(NamedTuple):
    """A key: the comments directly above it, and its value with what stands below it."""

    key: str
    lead: list[Line]
    value: list[Line]
    is_table: bool = False

    @property
    def lines(self) -> list[Line]:
        return [*self.lead, *self.value]


class _Keys(NamedTuple):
    """A mapping: what stands above its first key, its keys in order, and what they say."""

    head: list[Line]
    entries: dict[str, _Entry]
    said: dict[str, str]


def _by_keys(three: Three, suffix: str, *, is_new: bool) -> list[Piece] | None:
    """Merge by keys; None: one of them is not made so."""
    if suffix == ".md":
        return _by_front_matter(three, is_new=is_new)
    read = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml}.get(suffix)
    return _merged_keys(three.lines, read) if read else None


def _by_front_matter(three: Three, *, is_new: bool) -> list[Piece] | None:
    parts = [_parted(text.lines) for text in three]
    if is_new:
        parts[0] = _Parts([], [], [], [])
    if any(part is None for part in parts):
        return None
    begins, keys, ends, bodies = ([*same] for same in zip(*(part for part in parts if part), strict=True))
    told = _merged_keys((keys[0], keys[1], keys[2]), _yaml)
    if told is None:
        told = three_lines.as_one(keys[0], keys[1], keys[2], "the keys cannot be read one by one")
    return [*by_lines(*begins), *told, *by_lines(*ends), *by_lines(*bodies)]


class _Parts(NamedTuple):
    begin: list[Line]
    keys: list[Line]
    end: list[Line]
    body: list[Line]


def _parted(lines: list[Line]) -> _Parts | None:
    if not lines or lines[0].text.rstrip() != "---":
        return None
    end = next((at for at, line in enumerate(lines) if at and line.text.rstrip() == "---"), None)
    return None if end is None else _Parts(lines[:1], lines[1:end], lines[end : end + 1], lines[end + 1 :])


def _merged_keys(
    three: tuple[list[Line], list[Line], list[Line]], read: Callable[[list[Line]], _Keys | None]
) -> list[Piece] | None:
    found = [read(lines) for lines in three]
    if None in found:
        return None
    base, ours, theirs = (keys for keys in found if keys)
    merged: dict[str, list[Piece]] = {}
    for key, mine in ours.entries.items():
        merged[key] = _merged_key(
            base.entries.get(key), mine, theirs.entries.get(key), ours.said, theirs.said
        )
    for key in _with_added(ours.entries, theirs.entries):
        if key not in merged:
            merged[key] = _merged_key(
                base.entries.get(key), None, theirs.entries[key], ours.said, theirs.said
            )
    order = _with_added(ours.entries, theirs.entries)
    pieces = [
        *by_lines(base.head, ours.head, theirs.head),
        *itertools.chain(*(merged[key] for key in order)),
    ]
    if not any(isinstance(piece, Clash) for piece in pieces):
        made = read([piece.line for piece in pieces if isinstance(piece, Kept)])
        if made is None or not _says_both(base.said, ours.said, theirs.said, made.said):
            return [Clash("", *three, _NEITHER)]
    return pieces


def _with_added(ours: dict[str, _Entry], theirs: dict[str, _Entry]) -> list[str]:
    """The keys of ours in their order, with those of theirs alone each behind the one that it follows there."""
    out = list(ours)
    last = -1
    for key, entry in theirs.items():
        if key in ours:
            last = out.index(key)
            continue
        last += 1
        while entry.is_table and last < len(out) and not (ours.get(out[last]) or theirs[out[last]]).is_table:
            last += 1  # a key behind a table would be one of the table's
        out.insert(last, key)
    return out


def _merged_key(
    base: _Entry | None,
    ours: _Entry | None,
    theirs: _Entry | None,
    we_say: dict[str, str],
    they_say: dict[str, str],
) -> list[Piece]:
    key = next(entry.key for entry in (ours, theirs) if entry)
    before, mine, other = (entry.lines if entry else [] for entry in (base, ours, theirs))
    if ours is None or theirs is None:
        left = ours or theirs
        assert left is not None
        of = "ours" if ours else "theirs"
        if base is None:
            return [Kept(line, of) for line in left.lines]
        if _texts(left.lines) == _texts(before):
            return []
        why = "ours changed it, theirs removed it" if ours else "ours removed it, theirs changed it"
        return [Clash(key, before, mine, other, why)]
    value = [*by_lines(base.value if base else [], ours.value, theirs.value, key)]
    is_clash = any(isinstance(piece, Clash) for piece in value)
    if is_clash and key in we_say and we_say[key] == they_say.get(key):
        value = [Kept(line, "ours") for line in ours.value]  # both say the same, and spell it differently
    return [*by_lines(base.lead if base else [], ours.lead, theirs.lead, key), *value]


def _texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def _says_both(
    base: dict[str, str],
    ours: dict[str, str],
    theirs: dict[str, str],
    made: dict[str, str],
    *,
    unmixed: bool = False,
) -> bool:
    """Whether for each key that only one changed what came out says what that one says.

    `unmixed`: and for none that both changed what one of them says, as it does where both have written the key, each in another place.
    """
    for key in {*base, *ours, *theirs, *made}:
        before, mine, other, out = (said.get(key) for said in (base, ours, theirs, made))
        if (mine in (before, other) and out != other) or (other == before and out != mine):
            return False
        if unmixed and before != mine != other != before and out in (mine, other):
            return False
    return True


# ── where keys begin ──


def _yaml(lines: list[Line]) -> _Keys | None:
    text = "\n".join(_texts(lines))
    read = plain_yaml.Read(None, []) if _STRANGE.search(text) else plain_yaml.read(text, 0)
    if read.fields is None or read.findings:
        return None
    starts = [(key, field.line or 0) for key, field in read.fields.items()]
    if any(key == "?" or lines[at].text.startswith(_NO_KEY) for key, at in starts):
        return None
    return _keys(lines, starts, _said(read.fields), _comments(lines))


def _toml(lines: list[Line]) -> _Keys | None:
    text = "\n".join(_texts(lines))
    read = plain_yaml.Read(None, []) if _STRANGE.search(text) else plain_data.toml(text)
    if read.fields is None:
        return None
    plain = plain_data.TOML_TEXT.sub(_blanked, text).split("\n")
    starts: list[tuple[str, int]] = []
    deep, in_table = 0, False
    for at, line in enumerate(plain):
        if not deep and line.strip() and not line.startswith("\0"):
            is_table = line.lstrip().startswith("[")
            if is_table or not in_table:
                written = lines[at].text[: len(line)]
                starts.append((written.strip() if is_table else written.partition("=")[0].strip(), at))
            in_table = in_table or is_table
        deep += sum(line.count(bracket) for bracket in "[{") - sum(line.count(bracket) for bracket in "]}")
    return _keys(lines, starts, _said(read.fields), {at for at in _comments(lines) if not plain[at]})


def _comments(lines: list[Line]) -> set[int]:
    """Which lines begin as comments do; within a text they are none."""
    return {at for at, line in enumerate(lines) if line.text.startswith("#")}


def _said(fields: dict[str, Field]) -> dict[str, str]:
    """What each key says, so that only what is the same is equal: 1 is not `true`."""
    return {key: repr(field.value) for key, field in fields.items()}


def _blanked(found: re.Match[str]) -> str:
    r"""Nothing in place of a comment; NUL in place of a text, one a line, so that the lines stay and none that it goes on in looks like a key's."""
    return "" if found[0].startswith("#") else re.sub(r"[^\n]", "\0", found[0])


def _keys(
    lines: list[Line], starts: list[tuple[str, int]], said: dict[str, str], comments: set[int]
) -> _Keys | None:
    """Part lines where keys begin; None: two begin in one line, or are spelled the same."""
    if any(one[1] >= next_one[1] for one, next_one in itertools.pairwise(starts)) or len(
        {k for k, _ in starts}
    ) < len(starts):
        return None
    begins = []
    for number, (_, at) in enumerate(starts):
        least, lead = starts[number - 1][1] + 1 if number else 0, at
        while lead > least and lead - 1 in comments:
            lead -= 1
        begins.append(lead)
    ends = [*begins, len(lines)][1:]
    entries = {
        key: _Entry(key, lines[lead:at], lines[at:end], lines[at].text.lstrip().startswith("["))
        for (key, at), lead, end in zip(starts, begins, ends, strict=True)
    }
    return _Keys(lines[: begins[0]] if begins else lines, entries, said)
