"""Three texts as lines → what becomes of each line: it stays, one of the texts has it, or two contradict each other. Pure.

Lines are compared without their ends, so that a text that was saved with other ends contradicts nothing. Ends, a byte order mark and the end of the last line are
merged for themselves.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_T = TypeVar("_T")
_BOM = b"\xef\xbb\xbf"
_LINE = re.compile(r"([^\n]*?)(\r?\n)|([^\n]+)\Z")
_OURS: Final = "<<<<<<< ours"
_BASE: Final = "||||||| base"
_BETWEEN: Final = "======="  # also below a heading of Markdown
_THEIRS: Final = ">>>>>>> theirs"
_MOST_PAIRS: Final = 1_000_000  # of lines that are compared where none of them is the only one of its kind


class Line(NamedTuple):
    """A line, and its end ("" for a last one without)."""

    text: str
    end: str
    number: int  # from 1


class Text(NamedTuple):
    """A content as lines.

    Attributes:
        style: the end that most lines have.
        bom: whether it begins with a byte order mark.
    """

    lines: list[Line]
    style: str
    bom: bool

    @property
    def ends(self) -> bool:
        """Whether the last line has an end."""
        return not self.lines or bool(self.lines[-1].end)


class Three(NamedTuple):
    """What two texts were made of, and the two."""

    base: Text
    ours: Text
    theirs: Text

    @property
    def lines(self) -> tuple[list[Line], list[Line], list[Line]]:
        return self.base.lines, self.ours.lines, self.theirs.lines


@dataclass(frozen=True, slots=True)
class Kept:
    """A line that stays, and whose it is. `of` "": it stands in all three, and its end is what became of that."""

    line: Line
    of: str


@dataclass(frozen=True, slots=True)
class Clash:
    """Lines that contradict each other: the key that they belong to ("" for none), what all three have, and why ("": both changed them)."""

    where: str
    base: list[Line]
    ours: list[Line]
    theirs: list[Line]
    why: str = ""


Piece = Kept | Clash


def read(content: bytes) -> Text:
    """Part a content into lines; bytes that are no UTF-8 become surrogate escapes."""
    bom = content.startswith(_BOM)
    text = content.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    lines = [
        Line(found[3] or found[1] or "", found[2] or "", number)
        for number, found in enumerate(_LINE.finditer(text), 1)
    ]
    ends = Counter(line.end for line in lines if line.end)
    return Text(lines, max(ends, key=ends.__getitem__, default=""), bom)


def joined(lines: list[Line]) -> str:
    """Lines as a text that can be shown."""
    whole = "".join(f"{line.text}\n" for line in lines)
    return whole.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def settled(base: _T, ours: _T, theirs: _T) -> _T:
    """Of something that is either the one or the other what whoever changed it says."""
    return theirs if ours == base else ours


def written(three: Three, pieces: Sequence[Piece]) -> bytes:
    """What came out as bytes: each line with the end that it is to have, and both texts between marks where they contradict each other."""
    styles = {name: text.style or "\n" for name, text in zip(three._fields, three, strict=True)}
    style = settled(**styles) if three.base.lines else styles["ours"]
    out: list[tuple[str, str]] = []

    def add(lines: list[Line], of: str) -> None:
        out.extend((line.text, style if line.end == styles.get(of) else line.end) for line in lines)

    for piece in pieces:
        if isinstance(piece, Kept):
            add([piece.line], piece.of)
            continue
        for mark, lines, of in (
            (_OURS, piece.ours, "ours"),
            (_BASE, piece.base, "base"),
            (_BETWEEN, piece.theirs, "theirs"),
        ):
            out.append((mark, style))
            add(lines, of)
        out.append((_THEIRS, style))
    whole = [text + (end or style) for text, end in out]
    if out and not settled(three.base.ends, three.ours.ends, three.theirs.ends):
        whole[-1] = out[-1][0]
    bom = _BOM if settled(three.base.bom, three.ours.bom, three.theirs.bom) else b""
    return bom + "".join(whole).encode("utf-8", "surrogateescape")


def mark(content: bytes) -> Line | None:
    """The first mark of `written` that is left in a content; None: there is none."""
    return next((line for line in read(content).lines if line.text in {_OURS, _BASE, _THEIRS}), None)


def by_lines(base: list[Line], ours: list[Line], theirs: list[Line], where: str = "") -> Iterator[Piece]:
    """Go through all three side by side: lines that all have stay, of others the one that changed them decides."""
    in_ours, in_theirs = (dict(_same(base, other)) for other in (ours, theirs))
    at, of_ours, of_theirs = 0, 0, 0
    shared = [number for number in range(len(base)) if number in in_ours and number in in_theirs]
    for number in [*shared, None]:
        if number is None:
            ends = len(base), len(ours), len(theirs)
        else:
            ends = number, in_ours[number], in_theirs[number]
        yield from _decided(base[at : ends[0]], ours[of_ours : ends[1]], theirs[of_theirs : ends[2]], where)
        if number is not None:
            mine, other = ours[ends[1]], theirs[ends[2]]
            yield Kept(mine._replace(end=settled(base[number].end, mine.end, other.end)), "")
        at, of_ours, of_theirs = (end + 1 for end in ends)


def as_one(base: list[Line], ours: list[Line], theirs: list[Line], why: str) -> list[Piece]:
    """Go through them as by lines, but if both changed any of them, all of them contradict each other; `why` that is so."""
    if any(isinstance(piece, Clash) for piece in _decided(base, ours, theirs, "")):
        return [Clash("", base, ours, theirs, why)]
    return [*by_lines(base, ours, theirs)]


def _decided(base: list[Line], ours: list[Line], theirs: list[Line], where: str) -> Iterator[Piece]:
    before, mine, other = ([line.text for line in lines] for lines in (base, ours, theirs))
    if mine in (before, other):
        yield from (
            Kept(line, "theirs" if mine == before else "ours")
            for line in (theirs if mine == before else ours)
        )
    elif other == before:
        yield from (Kept(line, "ours") for line in ours)
    else:
        yield Clash(where, base, ours, theirs)


def _same(one: list[Line], other: list[Line]) -> list[tuple[int, int]]:
    """Which line of the one is which of the other, in order. Lines that stand once in each are found first, since they cannot be mistaken."""
    a, b = [line.text for line in one], [line.text for line in other]
    out: list[tuple[int, int]] = []
    todo = [(0, len(a), 0, len(b))]
    while todo:
        first_a, end_a, first_b, end_b = todo.pop()
        while first_a < end_a and first_b < end_b and a[first_a] == b[first_b]:
            out.append((first_a, first_b))
            first_a, first_b = first_a + 1, first_b + 1
        while first_a < end_a and first_b < end_b and a[end_a - 1] == b[end_b - 1]:
            end_a, end_b = end_a - 1, end_b - 1
            out.append((end_a, end_b))
        if first_a == end_a or first_b == end_b:
            continue
        if anchors := _unmistakable(a, b, range(first_a, end_a), range(first_b, end_b)):
            edges = [(first_a - 1, first_b - 1), *anchors, (end_a, end_b)]
            todo += [(i + 1, k, j + 1, m) for (i, j), (k, m) in itertools.pairwise(edges)]
            out += anchors
        elif (end_a - first_a) * (end_b - first_b) <= _MOST_PAIRS:
            matcher = SequenceMatcher(None, a[first_a:end_a], b[first_b:end_b], autojunk=False)
            for i, j, count in matcher.get_matching_blocks():
                out += [(first_a + i + more, first_b + j + more) for more in range(count)]
    return sorted(out)


def _unmistakable(a: list[str], b: list[str], in_a: range, in_b: range) -> list[tuple[int, int]]:
    """The longest run, in the order of both, of lines that stand once in each."""
    once_a, once_b = (
        {text: at for text, count, at in _counted(lines, within) if count == 1}
        for lines, within in ((a, in_a), (b, in_b))
    )
    pairs = [(at, once_b[text]) for text, at in once_a.items() if text in once_b]
    ends: list[int] = []  # the least last line of b of the runs of each length
    which: list[int] = []  # the pair that ends it
    before: list[int] = []
    for number, (_, at) in enumerate(pairs):
        length = bisect_left(ends, at)
        before.append(which[length - 1] if length else -1)
        ends[length : length + 1], which[length : length + 1] = [at], [number]
    out: list[tuple[int, int]] = []
    number = which[-1] if which else -1
    while number >= 0:
        out.append(pairs[number])
        number = before[number]
    return out[::-1]


def _counted(lines: list[str], within: range) -> Iterator[tuple[str, int, int]]:
    counts = Counter(lines[at] for at in within)
    for at in within:
        yield lines[at], counts[lines[at]], at
