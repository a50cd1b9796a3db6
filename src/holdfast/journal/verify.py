"""Prove that a journal is what was written: every byte of every sealed segment against its seal, every seal against the
next one and against `chain.jsonl`, every line of the segments that are not sealed, every blob against its name.

What the chain cannot show is a history that somebody wrote anew from its first changed segment to its last, `chain.jsonl` included.
An anchor that was noted elsewhere shows that too: it stands for all seals up to the moment it was noted.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import BlobDamaged
from holdfast.journal import blobs, chain, reader, sealed, sealing, segments
from holdfast.journal.format import BlobRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_READ_BYTES = 1 << 20
NAMED_BLOB = re.compile(rb'"f":\{"sha256":"([0-9a-f]{64})","size":(\d{1,19})\},"c":"[0-9a-f]{8}"\}\n')
OVERLAP_BYTES = 200  # longer than what names a blob, which may stand across two frames


class Finding(NamedTuple):
    """Something that is not as it was written: bytes [start, end) of a file or of a plain segment, None = all of it."""

    path: Path
    what: str
    start: int | None = None
    end: int | None = None


@dataclass(slots=True)
class Verified:
    """What was read, and what was found.

    Attributes:
        segments, sealed: how many there are, and how many of them are sealed.
        plain_bytes, stored_bytes: size of all segments, and of their files.
        blobs: how many were read.
        anchor: stands for every seal up to now; None when nothing is sealed.
        rewritten: (segment, why) of segments whose content was replaced on purpose.
        findings: what is wrong.
    """

    segments: int = 0
    sealed: int = 0
    plain_bytes: int = 0
    stored_bytes: int = 0
    blobs: int = 0
    anchor: str | None = None
    rewritten: list[tuple[int, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def verify(
    directory: Path,
    blob_directory: Path,
    *,
    anchor: str | None = None,
    report: Callable[[int], None] = lambda _: None,
) -> Verified:
    """Read everything and compare.

    Args:
        directory: the journal.
        blob_directory: its blobs.
        anchor: an anchor noted earlier; None: there is none.
        report: called with the number of plain bytes read so far.
    """
    return _Walk(directory, blob_directory, report).run(anchor)


class _Walk:
    def __init__(self, directory: Path, blob_directory: Path, report: Callable[[int], None]) -> None:
        self._directory = directory
        self._blob_directory = blob_directory
        self._report = report
        self._out = Verified()
        self._named: dict[bytes, int] = {}
        self._seals: list[sealed.Seal] = []
        self._late: set[int] = (
            set()
        )  # sealed while we looked, or not finished being sealed: not in the chain yet
        # The chain is read first: whatever is sealed or rewritten while we read can only be ahead of it.
        self._told = chain.lines(directory)
        self._named_seals = {
            seal.segment: seal for seal in map(sealed.read_seal, self._told) if seal is not None
        }

    def run(self, anchor: str | None) -> Verified:
        numbers = segments.numbers(self._directory)
        plain = set(segments.plain_numbers(self._directory))
        both = plain & set(segments.sealed_numbers(self._directory))
        for number in range(1, max([*numbers, *self._named_seals], default=0) + 1):
            if number in both:
                self._late.add(number)
                self._both(number)
            elif number not in plain or not self._plain_segment(number):
                self._sealed_segment(number)
        self._chain_file()
        self._blobs()
        self._anchor(anchor)
        self._out.segments = len(numbers)
        return self._out

    def _found(self, path: Path, what: str, start: int | None = None, end: int | None = None) -> None:
        self._out.findings.append(Finding(path, what, start, end))

    # ── segments ──

    def _sealed_segment(self, number: int) -> None:
        path = segments.sealed_path(self._directory, number)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as exc:
            self._found(path, "it is missing" if isinstance(exc, FileNotFoundError) else f"{exc.strerror}")
            return
        try:
            self._out.sealed += 1
            self._compare(path, number, fd)
        finally:
            os.close(fd)

    def _compare(self, path: Path, number: int, fd: int) -> None:
        """One sealed file against its seal, which must be the successor of the one before."""
        segment = sealed.Sealed(fd)
        content, whole = self._read(path, segment)
        seal = segment.seal
        if seal is None:
            self._found(path, "its seal is damaged")
            return
        if seal.format > sealed.FORMAT:
            self._found(path, "it was sealed by a newer Holdfast")
        if seal.segment != number:
            self._found(path, f"it holds segment {seal.segment}")
        before = self._before(number)
        if seal.previous != before:
            self._found(path, "it does not follow the segment before it")
        if whole and (seal.sha256, seal.size) != (content, segment.size):
            self._found(path, "its content is not what was sealed")
        if whole and not self._stored_fits(fd, segment, seal):
            self._found(path, "its file is not what was sealed")
        self._out.rewritten += [(number, was.why) for was in seal.was]
        self._seals.append(seal)

    def _before(self, number: int) -> str:
        """The link that a segment's seal must name; where the seal before it is unreadable, as the chain has it."""
        before = next((seal for seal in reversed(self._seals) if seal.segment == number - 1), None)
        before = before or self._named_seals.get(number - 1)
        if before is None and self._seals:
            before = self._seals[-1]
        return sealed.NO_LINK if before is None else before.place

    def _read(self, path: Path, segment: sealed.Sealed) -> tuple[str, bool]:
        """The SHA-256 of a sealed segment's content, and whether all of it could be read."""
        content, whole, rest = hashlib.sha256(), True, b""
        for item in segment.read():
            if isinstance(item, sealed.Hole):
                self._found(path, "it cannot be decompressed", item.start, item.end)
                whole, rest = False, b""
                continue
            content.update(item[1])
            rest = self._note_blobs(rest + item[1])
            self._report(self._out.plain_bytes + item[0] + len(item[1]))
        self._out.plain_bytes += segment.size
        self._out.stored_bytes += segment.file_size
        return content.hexdigest(), whole

    def _stored_fits(self, fd: int, segment: sealed.Sealed, seal: sealed.Seal) -> bool:
        """Whether every byte of the file is the one that sealing wrote."""
        stored, at = hashlib.sha256(), 0
        while at < seal.stored_size and (piece := os.pread(fd, min(_READ_BYTES, seal.stored_size - at), at)):
            stored.update(piece)
            at += len(piece)
        rest = os.pread(fd, segment.file_size - at + 1, at)
        return stored.hexdigest() == seal.stored_sha256 and rest == sealed.trailer(seal, segment.groups)

    def _plain_segment(self, number: int) -> bool:
        """A segment that is still written, or waits to be sealed: it has its records' checksums only. False: it was just sealed."""
        path = segments.path(self._directory, number)
        try:
            size = path.stat().st_size
            for item in reader.read_segment(self._directory, number):
                if isinstance(item, reader.Damage):
                    self._found(path, item.why, item.start, item.end)
                elif item.record.f is not None:
                    self._named[item.record.f.sha256.encode()] = item.record.f.size
                self._report(self._out.plain_bytes + item.end)
        except FileNotFoundError:
            self._late.add(number)
            return False
        except OSError as exc:
            self._found(path, f"{exc.strerror}")
            return True
        self._out.plain_bytes += size
        self._out.stored_bytes += size
        return True

    def _both(self, number: int) -> None:
        """Sealing was cut: the plain segment counts, and the next sealing finishes it. Both must say the same."""
        path = segments.sealed_path(self._directory, number)
        try:
            plain = _sha256_of(segments.path(self._directory, number))
            with sealed.opened(path) as segment:
                seal = segment.seal
        except FileNotFoundError:  # it was just finished
            self._sealed_segment(number)
            return
        except OSError as exc:
            self._found(path, f"{exc.strerror}")
            self._plain_segment(number)
            return
        if not self._plain_segment(number):  # it was finished while we looked: then the sealed one is proved
            self._sealed_segment(number)
        elif seal is None or seal.sha256 != plain:
            self._found(path, "it differs from the plain segment beside it")
        else:
            self._seals.append(seal)

    # ── chain, blobs, anchor ──

    def _chain_file(self) -> None:
        """The chain names each sealed segment once, in order; where sealing or rewriting was cut, it may be one step behind."""
        path = self._directory / chain.NAME
        for number, line in enumerate(self._told, start=1):
            if sealed.read_seal(line) is None:
                self._found(path, f"line {number} is no seal")
        named = dict(self._named_seals)
        for seal in self._seals:
            known = named.pop(seal.segment, None)
            if known != seal and seal.segment not in self._late and not sealing.replaces(seal, known):
                what = "is missing" if known is None else "is another one"
                self._found(path, f"the seal of segment {seal.segment} {what}")
        for number in named.keys() - self._late:
            self._found(path, f"segment {number} is named, and is no sealed segment that can be read")
        order = [seal.segment for seal in map(sealed.read_seal, self._told) if seal is not None]
        if order != sorted(set(order)) or not chain.ends_whole(self._directory):
            self._found(path, "its lines are not one seal each, in order")

    def _note_blobs(self, piece: bytes) -> bytes:
        for sha256, size in NAMED_BLOB.findall(piece):
            self._named[sha256] = int(size)
        return piece[-OVERLAP_BYTES:]

    def _blobs(self) -> None:
        """Blobs that records name, against their names; what no record names is not history."""
        for sha256, size in self._named.items():
            try:
                blobs.verify(self._blob_directory, BlobRef(sha256.decode(), size))
            except BlobDamaged as exc:
                self._found(self._blob_directory / sha256.decode(), exc.why)
            except OSError as exc:
                self._found(self._blob_directory / sha256.decode(), f"cannot be read: {exc.strerror}")
            self._out.blobs += 1

    def _anchor(self, anchor: str | None) -> None:
        held = list(anchors(self._seals))
        self._out.anchor = held[-1] if held else None
        if anchor is not None and anchor not in held:
            path = self._directory / chain.NAME
            self._found(
                path, "the anchor fits no state of this chain: sealed history was changed after it was noted"
            )


def anchor(directory: Path) -> str | None:
    """What stands for the chain as it is now; None: nothing is sealed."""
    *_, last = [None, *anchors(chain.seals(directory))]
    return last


def anchors(seals: list[sealed.Seal]) -> Iterator[str]:
    """For each seal, what stands for it and all before it: SHA-256 over the anchor before (hex) and the seal's line."""
    held = sealed.NO_LINK
    for seal in seals:
        held = hashlib.sha256(held.encode() + seal.line()).hexdigest()
        yield held


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
