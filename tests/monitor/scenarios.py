"""What can happen to a log and its reader, each with the lines that must come out, once each.

A: plain growth. B: bytes and line ends. C: rotation, truncation, replacement. D: who is who. E: crashes and damaged positions.
F: many files and odd ones.

`order` False: lines of different files may come in any order. `spare`: so many lines may come again. The reader polls three times
more at the end of each. `scopes`: what the reader was told to follow: the directory, the one file, or a pattern.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = ("directory", "file")
DIRECTORY = ("directory",)
PATTERN = ("directory", "pattern")


class Scenario(NamedTuple):
    id: str
    what: str
    happens: Callable
    expected: list[bytes]
    order: bool
    spare: int
    scopes: tuple[str, ...]


ALL: list[Scenario] = []


def scenario(id_, what, expected, *, order=True, spare=0, scopes=BOTH):
    def take(happens):
        lines = [each if isinstance(each, bytes) else each.encode() for each in expected]
        ALL.append(Scenario(id_, what, happens, lines, order, spare, scopes))
        return happens

    return take


def a(first, last, kind="a"):
    return [f"{kind}{number:05d} {'.' * (number % 7)}" for number in range(first, last + 1)]


def long(first, last, kind):
    """Lines of 60 bytes."""
    return [f"{kind}{number:05d} ".ljust(60, "-") for number in range(first, last + 1)]


BANNER = [
    f"banner {number:02d} ".ljust(57, "=") for number in range(35)
]  # over 2,000 bytes, the same in every run
assert sum(len(line) + 1 for line in BANNER) > 2_000


# ── A: plain growth ──


@scenario("A01", "append, poll, append, poll", a(1, 5))
def _(w):
    w.append(a(1, 3))
    w.poll()
    w.append(a(4, 5))
    w.poll()


@scenario("A02", "an empty file gets lines later", a(1, 3))
def _(w):
    w.append([])
    w.poll()
    w.append(a(1, 3))


@scenario("A03", "the file does not exist at the start", a(1, 5))
def _(w):
    w.poll()
    w.append(a(1, 3))
    w.poll()
    w.append(a(4, 5))


@scenario("A04", "a clean restart goes on", a(1, 5))
def _(w):
    w.append(a(1, 3))
    w.poll()
    w.down()
    w.restart()
    w.poll()
    w.append(a(4, 5))


@scenario("A05", "appended while the reader was down", a(1, 5))
def _(w):
    w.append(a(1, 3))
    w.poll()
    w.down()
    w.append(a(4, 5))
    w.restart()


@scenario("A06", "idle polls bring nothing", a(1, 3))
def _(w):
    w.append(a(1, 3))
    w.poll(10)


@scenario("A07", "touched, no new bytes", a(1, 3))
def _(w):
    w.append(a(1, 3))
    w.poll()
    os.utime(w.path("app.log"), (1, 1))
    w.poll()
    os.utime(w.path("app.log"))


@scenario("A08", "appended, and the time set back to what it was", a(1, 5))
def _(w):
    w.append(a(1, 3))
    w.poll()
    before = w.path("app.log").stat()
    w.append(a(4, 5))
    os.utime(w.path("app.log"), ns=(before.st_atime_ns, before.st_mtime_ns))


@scenario("A09", "blank lines and surrounding blanks are kept", ["x", "", "", "  y \t"])
def _(w):
    w.raw("x\n\n\n  y \t\n")


@scenario("A10", "5,000 lines at once", a(1, 5000))
def _(w):
    w.append(a(1, 5000))
    w.poll(2)


@scenario("A11", "401 lines in pieces, a restart after each", a(1, 401))
def _(w):
    for first in range(1, 402, 100):
        w.append(a(first, min(401, first + 99)))
        w.poll()
        w.down()
        w.restart()


@scenario("A12", "a line of 1 MiB between short ones", ["short", "x" * (1 << 20), "end"])
def _(w):
    w.append(["short", "x" * (1 << 20), "end"])


LENGTHS = [1, 4095, 4096, 4097, 8191, 8192, 8193, 65535, 65536, 65537, 262143, 262144, 262145]


@scenario("A13", "lines as long as usual buffers, one more and one less", [f"{n:0{n}d}" for n in LENGTHS])
def _(w):
    for n in LENGTHS:
        w.append([f"{n:0{n}d}"])
        w.poll()


@scenario("A14", "a line of 1 MiB in 64 pieces, a poll after each", ["y" * (1 << 20), "end"])
def _(w):
    for _ in range(64):
        w.raw("y" * (1 << 14))
        w.poll()
    w.raw("\nend\n")


# ── B: bytes and line ends ──


@scenario("B01", "a partial last line is held back", ["partial", "x"])
def _(w):
    w.raw("par")
    w.poll()
    w.raw("tial\nx\n")


@scenario("B02", "a partial last line over a restart", ["a", "partial"])
def _(w):
    w.raw("a\npar")
    w.poll()
    w.down()
    w.restart()
    w.poll()
    w.raw("tial\n")


@scenario("B03", "a partial last line over kill -9", ["a", "partial"])
def _(w):
    w.raw("a\npar")
    w.poll()
    w.kill()
    w.poll()
    w.raw("tial\n")


@scenario("B04", "one line in five pieces, a poll after each", ["one line only"])
def _(w):
    for piece in ["on", "e li", "ne o", "nly", "\n"]:
        w.raw(piece)
        w.poll()


@scenario("B05", "the last line of a rotated file has no end", ["a", "last", "new"], order=False)
def _(w):
    w.raw("a\nlast")
    w.poll()
    w.rotate()
    w.append(["new"])


@scenario("B06", "it is not glued to the next file's first line", ["a", "last", "new"], order=False)
def _(w):
    w.raw("a\nlast")
    w.poll()
    w.down()
    w.rotate()
    w.append(["new"])
    w.restart()


@scenario("B07", "CR LF is one line end", ["a", "b"])
def _(w):
    w.raw("a\r\nb\r\n")


@scenario("B08", "CR and LF come in different polls", ["a", "b"])
def _(w):
    w.raw("a\r")
    w.poll()
    w.raw("\nb\r")
    w.poll()
    w.raw("\n")


@scenario("B09", "CR alone ends no line", ["10%\r50%\r100%", "x"])
def _(w):
    w.raw("10%\r")
    w.poll()
    w.raw("50%\r100%\nx\n")


ODD = "a\x0bb\x0cc\x1cd\x1de\x1ef\x85g\u2028h\u2029i"


@scenario("B10", "VT FF FS GS RS NEL LS PS end no line", [ODD, "x"])
def _(w):
    w.append([ODD, "x"])


@scenario("B11", "bytes that are no UTF-8", [b"ok\xff\xfe\x80", "fine", "more"])
def _(w):
    w.append([b"ok\xff\xfe\x80", "fine"])
    w.poll()
    w.append(["more"])


@scenario("B12", "a character of two bytes over two polls", ["café"])
def _(w):
    w.raw("café".encode()[:-1])
    w.poll()
    w.raw("é".encode()[1:] + b"\n")


@scenario("B13", "a character of two bytes over a restart", ["x", "café"])
def _(w):
    w.raw(b"x\n" + "café".encode()[:-1])
    w.poll()
    w.down()
    w.restart()
    w.raw("é".encode()[1:] + b"\n")


@scenario(
    "B14",
    "a character of four bytes over usual chunk ends",
    ["z" * (n - 2) + "😀" for n in (4096, 8192, 65536, 262144, 1 << 20)],
)
def _(w):
    w.append(["z" * (n - 2) + "😀" for n in (4096, 8192, 65536, 262144, 1 << 20)])


@scenario("B15", "NUL inside a line", ["a\0b", "next", "more"])
def _(w):
    w.append(["a\0b", "next"])
    w.poll()
    w.append(["more"])


@scenario("B16", "a hole of NUL: cut under a writer that does not append", ["old1", "old2", "new1", "new2"])
def _(w):
    with w.path("app.log").open("wb", buffering=0) as file:
        file.write(b"old1\nold2\n")
        w.poll()
        w.truncate(0)
        file.write(b"new1\n")
        w.poll()
        file.write(b"new2\n")


@scenario("B17", "a byte order mark is no part of the first line", ["hello", "x"])
def _(w):
    w.raw(b"\xef\xbb\xbfhello\nx\n")


@scenario("B18", "a slow writer: no timer cuts a line", ["slow line"])
def _(w):
    w.raw("slow")
    w.poll(8)
    w.raw(" line\n")


RECORD = '{"type": "assistant", "text": "' + "t" * 70_000 + '"}'


@scenario("B19", "a JSON record of 70 kB in three writes", [RECORD])
def _(w):
    for start in range(0, len(RECORD), 25_000):
        w.raw(RECORD[start : start + 25_000])
        w.poll()
    w.raw("\n")


# ── C: rotation, truncation, replacement ──


@scenario("C01", "renamed and made anew, all read before", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.rotate()
    w.append(a(31, 33))


@scenario("C02", "renamed and made anew, unread lines in the old file, reader up", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(31, 32))
    w.rotate()
    w.append(a(33, 35))


@scenario("C03", "the same, reader down", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.append(a(31, 32))
    w.rotate()
    w.append(a(33, 35))
    w.restart()


@scenario("C04", "the writer goes on in the renamed file", a(1, 30) + a(31, 35), order=False)
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.rotate()
    w.append(a(33, 35))
    w.poll()
    w.append(a(31, 32), "app.log.1")


def twice(w):
    w.append(a(31, 32))
    w.rotate()
    w.append(a(33, 34))
    w.rename("app.log.1", "app.log.2")
    w.rotate()
    w.append(a(35, 37))


@scenario("C05", "two rotations between two polls, reader up", a(1, 37))
def _(w):
    w.append(a(1, 30))
    w.poll()
    twice(w)


@scenario("C06", "two rotations while the reader was down", a(1, 37))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    twice(w)
    w.restart()


def larger(w):
    w.rotate()
    w.append(long(1, 60, "n"))


@scenario("C07", "renamed and made anew, soon larger than before, reader up", a(1, 30) + long(1, 60, "n"))
def _(w):
    w.append(a(1, 30))
    w.poll()
    larger(w)


@scenario("C08", "the same, reader down", a(1, 30) + long(1, 60, "n"))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    larger(w)
    w.restart()


@scenario(
    "C09", "renamed and made anew with the same first 2 KiB, reader up", BANNER + a(1, 5) + BANNER + a(6, 35)
)
def _(w):
    w.append(BANNER + a(1, 5))
    w.poll()
    w.rotate()
    w.append(BANNER + a(6, 35))


@scenario("C10", "the same, reader down", BANNER + a(1, 5) + BANNER + a(6, 35))
def _(w):
    w.append(BANNER + a(1, 5))
    w.poll()
    w.down()
    w.rotate()
    w.append(BANNER + a(6, 35))
    w.restart()


STAMP = "2026-11-22T00:00:00Z "


@scenario("C11", "made anew with the same first 20 bytes, reader down", [STAMP + each for each in a(1, 30)])
def _(w):
    w.append([STAMP + each for each in a(1, 10)])
    w.poll()
    w.down()
    w.rotate()
    w.append([STAMP + each for each in a(11, 30)])
    w.restart()


@scenario("C12", "rotated into another directory with unread lines, reader up", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(31, 32))
    w.path("app.log").rename(w.outside / "app.log.1")
    w.append(a(33, 35))


@scenario("C13", "a rotated file is compressed later", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.rotate()
    w.append(a(31, 33))
    w.poll()
    w.gzip("app.log.1")
    w.poll()
    w.down()
    w.restart()


@scenario("C14", "unread lines, rotated and compressed before the next poll, reader up", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(31, 32))
    w.rotate()
    w.gzip("app.log.1")
    w.append(a(33, 35))


@scenario("C15", "the same, reader down", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.append(a(31, 32))
    w.rotate()
    w.gzip("app.log.1")
    w.append(a(33, 35))
    w.restart()


@scenario("C16", "copied and cut, all read, shorter after", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.copytruncate()
    w.append(a(31, 33))


@scenario("C17", "the same, reader down", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.copytruncate()
    w.append(a(31, 33))
    w.restart()


@scenario("C18", "copied and cut with unread lines: they are in the copy", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(31, 32))
    w.copytruncate()
    w.append(a(33, 35))


@scenario("C19", "the same, reader down", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.append(a(31, 32))
    w.copytruncate()
    w.append(a(33, 35))
    w.restart()


@scenario("C20", "cut to nothing, then smaller", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.truncate()
    w.poll()
    w.append(a(31, 33))


@scenario("C21", "cut and grown beyond the old size between polls, reader up", a(1, 30) + long(1, 60, "n"))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.overwrite(long(1, 60, "n"))


@scenario("C22", "the same, reader down", a(1, 30) + long(1, 60, "n"))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.overwrite(long(1, 60, "n"))
    w.restart()


@scenario("C23", "the same, with the same first 2 KiB", BANNER + a(1, 5) + BANNER + a(6, 35))
def _(w):
    w.append(BANNER + a(1, 5))
    w.poll()
    w.overwrite(BANNER + a(6, 35))


@scenario("C24", "written anew in place to exactly the old size", long(1, 30, "o") + long(1, 30, "n"))
def _(w):
    w.append(long(1, 30, "o"))
    w.poll()
    w.overwrite(long(1, 30, "n"))


@scenario("C25", "cut back to the middle, then appended to", a(1, 33), spare=15)
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.truncate(sum(len(line) + 1 for line in a(1, 15)))
    w.append(a(31, 33))


@scenario("C26", "deleted and made anew, smaller", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.delete()
    w.append(a(31, 33))


@scenario("C27", "deleted and made anew, larger", a(1, 30) + long(1, 60, "n"))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.delete()
    w.append(long(1, 60, "n"))


@scenario("C28", "the same with the same file number, smaller, reader down", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.delete()  # ext4 gives the number out again at once
    w.append(a(31, 33))
    w.restart()


@scenario("C29", "the same, larger", a(1, 30) + long(1, 60, "n"))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.delete()
    w.append(long(1, 60, "n"))
    w.restart()


@scenario("C30", "the same, with the same first 2 KiB", BANNER + a(1, 5) + BANNER + a(6, 35))
def _(w):
    w.append(BANNER + a(1, 5))
    w.poll()
    w.down()
    w.delete()
    w.append(BANNER + a(6, 35))
    w.restart()


@scenario("C31", "deleted with unread lines, reader up", a(1, 32))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(31, 32))
    w.delete()


@scenario("C32", "gone for several polls, then back with other content", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.delete()
    w.poll(5)
    w.append(a(31, 33))


@scenario("C32b", "gone for several polls, then back as it was and longer", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.path("app.log").rename(w.outside / "kept")
    w.poll(5)
    (w.outside / "kept").rename(w.path("app.log"))
    w.append(a(31, 33))


@scenario("C33", "a link swapped to the next run, all read", a(1, 33))
def _(w):
    w.append(a(1, 30), w.outside / "run1")
    w.link("app.log", w.outside / "run1")
    w.poll()
    w.append(a(31, 33), w.outside / "run2")
    w.link("app.log", w.outside / "run2")


@scenario("C34", "a link swapped with unread lines behind it", a(1, 35))
def _(w):
    w.append(a(1, 30), w.outside / "run1")
    w.link("app.log", w.outside / "run1")
    w.poll()
    w.append(a(31, 32), w.outside / "run1")
    w.append(a(33, 35), w.outside / "run2")
    w.link("app.log", w.outside / "run2")


@scenario("C34b", "the same where both runs are followed themselves", a(1, 35), order=False, scopes=DIRECTORY)
def _(w):
    w.append(a(1, 30), "run1")
    w.link("app.log", "run1")
    w.poll()
    w.append(a(31, 32), "run1")
    w.append(a(33, 35), "run2")
    w.link("app.log", "run2")


@scenario("C35", "a link from A to B and back: only what is new in A", a(1, 35), order=False)
def _(w):
    w.append(a(1, 30), w.outside / "A")
    w.link("app.log", w.outside / "A")
    w.poll()
    w.append(a(31, 33), w.outside / "B")
    w.link("app.log", w.outside / "B")
    w.poll()
    w.append(a(34, 35), w.outside / "A")
    w.link("app.log", w.outside / "A")


@scenario("C35b", "the same where A and B are followed themselves", a(1, 35), order=False, scopes=DIRECTORY)
def _(w):
    w.append(a(1, 30), "A")
    w.link("app.log", "A")
    w.poll()
    w.append(a(31, 33), "B")
    w.link("app.log", "B")
    w.poll()
    w.append(a(34, 35), "A")
    w.link("app.log", "A")


@scenario("C36", "replaced by a longer file with the same beginning (an editor saves)", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(1, 33), w.outside / "new")
    (w.outside / "new").rename(w.path("app.log"))


@scenario("C37", "renamed away and back, unchanged", a(1, 32))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.rename("app.log", "away")
    w.poll(3)
    w.rename("away", "app.log")
    w.poll()
    w.append(a(31, 32))


@scenario("C38", "the name is missing for a while after the rename", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.rename("app.log", "app.log.1")
    w.poll(3)
    w.append(a(31, 33))


@scenario("C39", "rotated to a name with the date, unread lines, reader down", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.append(a(31, 32))
    w.rotate("app.log-20261122")
    w.append(a(33, 35))
    w.restart()


@scenario("C39b", "the same with the date before the suffix", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.append(a(31, 32))
    w.rotate("app-2026-11-22.log")
    w.append(a(33, 35))
    w.restart()


@scenario("C40", "the oldest unread rotation was deleted: the rest comes", a(1, 30) + a(33, 37))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    twice(w)
    w.delete("app.log.2")
    w.restart()


@scenario("C41", "20 rotations with odd cuts and restarts, polled before each", a(1, 1002))
def _(w):
    done = 0
    for number in range(20):
        text = "".join(f"{line}\n" for line in a(done + 1, done + 50))
        cut = (number * 37) % len(text)
        w.raw(text[:cut])
        w.poll()
        if number % 3 == 0:
            w.down()
            w.restart()
        w.raw(text[cut:])
        w.poll()
        done += 50
        for older in range(min(number, 6), 0, -1):
            w.rename(f"app.log.{older}", f"app.log.{older + 1}")
        w.rotate()
    w.append(a(1001, 1002))


SAME_END = [f"footer {number:02d} ".ljust(59, "_") for number in range(11)]


@scenario(
    "C42",
    "written anew: the same first 2 KiB and the same last 600 bytes, another middle",
    BANNER + a(1, 30) + SAME_END + BANNER + a(2, 31) + SAME_END + a(40, 65),
)
def _(w):
    first, second = a(1, 30), a(2, 31)
    w.append(BANNER + first + SAME_END)
    w.poll()
    w.overwrite(BANNER + second + SAME_END + a(40, 65))


# ── D: who is who ──


@scenario("D01", "grows through every size of a fingerprint, a poll after each line", a(1, 200))
def _(w):
    for number in range(1, 201):
        w.append(a(number, number))
        w.poll()


@scenario("D02", "the same with a restart after each line", a(1, 25))
def _(w):
    for number in range(1, 26):
        w.append(a(number, number))
        w.poll()
        w.down()
        w.restart()


@scenario(
    "D03",
    "two files with the same first 2 KiB",
    BANNER + a(1, 20) + BANNER + a(21, 35),
    order=False,
    scopes=DIRECTORY,
)
def _(w):
    w.append(BANNER + a(1, 20), "one.log")
    w.poll()
    w.append(BANNER + a(21, 35), "two.log")


@scenario("D04", "two files with equal content", a(1, 3) + a(1, 3), order=False, scopes=DIRECTORY)
def _(w):
    w.append(a(1, 3), "one.log")
    w.append(a(1, 3), "two.log")


@scenario("D04b", "the same, one after the other", a(1, 3) + a(1, 3), order=False, scopes=DIRECTORY)
def _(w):
    w.append(a(1, 3), "one.log")
    w.poll()
    w.append(a(1, 3), "two.log")


@scenario(
    "D05",
    "two files with an equal first line",
    ["start", *a(1, 2), "start", *a(3, 5)],
    order=False,
    scopes=DIRECTORY,
)
def _(w):
    w.append(["start"], "one.log")
    w.append(["start"], "two.log")
    w.poll()
    w.append(a(1, 2), "one.log")
    w.append(a(3, 5), "two.log")


@scenario(
    "D05b",
    "one deleted as another with an equal first line appears",
    ["start", "start", "x"],
    order=False,
    scopes=DIRECTORY,
)
def _(w):
    w.append(["start"], "one.log")
    w.poll()
    w.down()
    w.delete("one.log")
    w.append(["start", "x"], "two.log")
    w.restart()


@scenario("D06", "two empty files that begin later", a(1, 5), order=False, scopes=DIRECTORY)
def _(w):
    w.append([], "one.log")
    w.append([], "two.log")
    w.poll()
    w.append(a(1, 2), "one.log")
    w.append(a(3, 5), "two.log")


@scenario("D07", "a short file replaced by another, reader down", ["first", "second, longer", "third"])
def _(w):
    w.append(["first"])
    w.poll()
    w.down()
    w.delete()
    w.append(["second, longer", "third"])
    w.restart()


@scenario("D08", "the first line is half written at the first poll", ["hello", "x"])
def _(w):
    w.raw("hel")
    w.poll()
    w.down()
    w.restart()
    w.poll()
    w.raw("lo\nx\n")


@scenario("D09", "a header is written anew in place, then lines appended", a(1, 34), spare=31)
def _(w):
    w.append(a(1, 30))
    w.poll()
    with w.path("app.log").open("r+b") as file:
        file.write(b"A00001")
    w.append(a(31, 34))


@scenario("D10", "the same file under two names", a(1, 5), scopes=DIRECTORY)
def _(w):
    w.append(a(1, 3))
    os.link(w.path("app.log"), w.path("other.log"))
    w.poll()
    w.append(a(4, 5))
    w.poll()


@scenario("D11", "rotated within what is followed", a(1, 35), scopes=PATTERN)
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(31, 32))
    w.rotate()
    w.append(a(33, 35))
    w.poll()
    w.rename("app.log.1", "app.log.2")
    w.poll()


@scenario("D12", "copied and cut within what is followed: the copy is not new", a(1, 33), scopes=PATTERN)
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.copytruncate()
    w.append(a(31, 33))


@scenario(
    "D12b", "the same, with a poll while the copy is made, and one before the cut", a(1, 35), scopes=PATTERN
)
def _(w):
    w.append(a(1, 30))
    w.poll()
    whole = w.path("app.log").read_bytes()
    w.raw(b"", "app.log.1")
    w.poll()
    w.raw(whole[:100], "app.log.1")
    w.poll()
    w.raw(whole[100:], "app.log.1")
    w.poll()
    w.append(a(31, 32))
    w.append(a(31, 32), "app.log.1")
    w.truncate()
    w.append(a(33, 35))


# ── E: crashes and damaged positions ──


@scenario("E01", "kill -9 with lines read, nothing kept", a(1, 35))
def _(w):
    w.append(a(1, 33))
    w.poll()
    w.append(a(34, 35))
    w.crash("read")


@scenario("E01b", "kill -9 with everything written, nothing committed", a(1, 35))
def _(w):
    w.append(a(1, 33))
    w.poll()
    w.append(a(34, 35))
    w.crash("written")


@scenario("E02", "kill -9 after the commit", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(31, 33))
    w.crash("kept")


@scenario("E03", "kill -9 before the very first commit", a(1, 30))
def _(w):
    w.append(a(1, 30))
    w.crash("read")


def lost_state(how):
    def happens(w):
        w.append(a(1, 30))
        w.poll()
        w.down()
        w.damage(how)
        w.append(a(31, 33))
        w.restart()

    return happens


scenario("E04", "the state is cut in half", a(1, 33), spare=30)(
    lost_state(lambda path: os.truncate(path, path.stat().st_size // 2))
)
scenario("E05", "the state is garbage", a(1, 33), spare=30)(
    lost_state(lambda path: path.write_bytes(bytes(range(256)) * 64))
)
scenario("E06", "the state is emptied", a(1, 33), spare=30)(lost_state(lambda path: path.write_bytes(b"")))
scenario("E07", "the state is deleted", a(1, 33), spare=30)(lost_state(lambda path: path.unlink()))


@scenario("E08", "the kept position is beyond the end after a restart", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.overwrite(a(31, 33))
    w.restart()


@scenario("E09", "killed between a rotation and the first read of the new file", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.rotate()
    w.kill()
    w.append(a(31, 33))


@scenario("E10", "killed with the new file read and nothing of it kept", a(1, 33))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.rotate()
    w.append(a(31, 33))
    w.crash("read")


# ── F: many files and odd ones ──


@scenario("F01", "a new file appears", a(1, 5), order=False, scopes=DIRECTORY)
def _(w):
    w.append(a(1, 3), "one.log")
    w.poll()
    w.append(a(4, 5), "two.log")


@scenario(
    "F02",
    "1,000 files",
    [line for n in range(1000) for line in a(n, n + 1, f"f{n} ")],
    order=False,
    scopes=DIRECTORY,
)
def _(w):
    for number in range(1000):
        w.append(a(number, number, f"f{number} "), f"{number}.log")
    w.poll()
    for number in range(1000):
        w.append(a(number + 1, number + 1, f"f{number} "), f"{number}.log")


@scenario("F03", "a directory has the name of a log", a(1, 3), scopes=DIRECTORY)
def _(w):
    w.path("dir.log").mkdir()
    w.append(a(1, 3))


@scenario("F04", "a pipe has the name of a log: nobody waits for it", a(1, 3), scopes=DIRECTORY)
def _(w):
    os.mkfifo(w.path("pipe.log"))
    w.append(a(1, 3))


@scenario(
    "F05", "a quiet file is served beside a noisy one", [*a(1, 3000), "quiet"], order=False, scopes=DIRECTORY
)
def _(w):
    w.append(a(1, 3000), "noisy.log")
    w.append(["quiet"], "quiet.log")


@scenario("F06", "odd names", a(1, 6), order=False, scopes=DIRECTORY)
def _(w):
    names = ["a b.log", "c:d.log", "ünï.log", "-dash.log", "*?.log", os.fsdecode(b"\xff.log")]
    for number, name in enumerate(names, 1):
        w.append(a(number, number), name)


@scenario("F07", "deleted, and the name used again much later", a(1, 5))
def _(w):
    w.append(a(1, 3))
    w.poll()
    w.delete()
    w.poll(10)
    w.down()
    w.restart()
    w.poll()
    w.append(a(4, 5))


@scenario("F08", "a link to nothing, whose target appears later", a(1, 3))
def _(w):
    w.path("app.log").symlink_to(w.outside / "later")
    w.poll(2)
    w.append(a(1, 3), w.outside / "later")


# ── further: combinations that the rules promise ──


@scenario("G01", "two rotations, both compressed, reader down", a(1, 37))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    twice(w)
    w.gzip("app.log.1")
    w.gzip("app.log.2")
    w.restart()


@scenario("G02", "two rotations, both compressed, reader up", a(1, 37))
def _(w):
    w.append(a(1, 30))
    w.poll()
    twice(w)
    w.gzip("app.log.2")
    w.gzip("app.log.1")


@scenario("G03", "copied and cut twice, reader down", a(1, 37))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.append(a(31, 32))
    w.copytruncate("app.log.2")
    w.append(a(33, 34))
    w.copytruncate("app.log.1")
    w.append(a(35, 37))
    w.restart()


@scenario("G04", "the copy is compressed at once, reader down", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.down()
    w.append(a(31, 32))
    w.copytruncate()
    w.gzip("app.log.1")
    w.append(a(33, 35))
    w.restart()


@scenario("G05", "rotated before the first line was read", a(1, 6))
def _(w):
    w.append([])
    w.poll()
    w.append(a(1, 3))
    w.rotate()
    w.append(a(4, 6))


@scenario("G06", "the same, reader down", a(1, 6))
def _(w):
    w.append([])
    w.poll()
    w.down()
    w.append(a(1, 3))
    w.rotate()
    w.append(a(4, 6))
    w.restart()


@scenario(
    "G07",
    "killed while it drained a deleted file: what was open is gone, what was kept is not repeated",
    a(1, 30) + a(40, 42),
)
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.delete()
    w.poll()
    w.kill()
    w.append(a(40, 42))


@scenario(
    "G08", "a log in a directory that appears later, two levels down", a(1, 4), order=False, scopes=DIRECTORY
)
def _(w):
    w.append(a(1, 2))
    w.poll()
    w.path("deep/er").mkdir(parents=True)
    w.append(a(3, 4), "deep/er/x.log")


@scenario("G09", "killed between printing and noting it, twice", a(1, 9))
def _(w):
    w.append(a(1, 3))
    w.poll()
    for first in (4, 7):
        w.append(a(first, first + 2))
        w.crash("printed" if hasattr(w.reader, "process") else "kept")


@scenario("G10", "rotated, and the copy under the old name deleted in between", a(1, 33), scopes=PATTERN)
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.rotate()
    w.poll()
    w.delete("app.log.1")
    w.append(a(31, 33))


@scenario(
    "G11", "a poll with half a character, rotated, the rest in the old file", ["café", "x", "y"], order=False
)
def _(w):
    w.raw("café".encode()[:-1])
    w.poll()
    w.rename("app.log", "app.log.1")
    w.raw("é".encode()[1:] + b"\nx\n", "app.log.1")
    w.append(["y"])


@scenario("G12", "the directory is gone for a while", a(1, 5))
def _(w):
    w.append(a(1, 3))
    w.poll()
    w.top.rename(w.root / "away")
    w.poll(2)
    (w.root / "away").rename(w.top)
    w.poll()
    w.append(a(4, 5))


@scenario(
    "G13",
    "a file a day with a link to the present one: it is not rotated as long as the link leads to it",
    a(1, 6),
)
def _(w):
    first, second = "app-20261121.log", "app-20261122.log"
    w.append(a(1, 2), first)
    w.link("app.log", first)
    w.raw(a(3, 3)[0][:4], first)
    w.poll(4)
    w.raw(a(3, 3)[0][4:] + "\n", first)
    w.poll()
    w.append(a(4, 4), first)
    w.append(a(5, 5), second)
    w.link("app.log", second)
    w.raw(a(6, 6)[0][:4], second)
    w.poll(4)
    w.raw(a(6, 6)[0][4:] + "\n", second)


@scenario("G14", "copied, deleted and made anew", a(1, 35))
def _(w):
    w.append(a(1, 30))
    w.poll()
    w.append(a(31, 32))
    w.copy("app.log", "app.log.1")
    w.delete()
    w.append(a(33, 35))


@scenario(
    "G15", "a log that begins like its rotated file, rotated each time", ["start", "a", "start", "start", "b"]
)
def _(w):
    w.append(["start"])
    w.poll()
    w.append(["a"])
    w.poll()
    w.rotate("app.log.1")
    w.append(["start"])
    w.poll()
    w.rename("app.log.1", "app.log.2")
    w.rotate("app.log.1")
    w.append(["start", "b"])


@scenario("G16", "a directory of logs is moved within what is followed", a(1, 5), scopes=DIRECTORY)
def _(w):
    w.path("one").mkdir()
    w.append(a(1, 3), "one/app.log")
    w.poll()
    w.append(a(4, 4), "one/app.log")
    w.rename("one", "two")
    w.poll()
    w.append(a(5, 5), "two/app.log")


@scenario(
    "G17", "numbered logs that are no rotations of each other", [*a(1, 6)], order=False, scopes=DIRECTORY
)
def _(w):
    for number in (1, 2, 3):
        w.append(a(number, number), f"worker-{number}.log")
    w.poll()
    for number in (1, 2, 3):
        w.append(a(number + 3, number + 3), f"worker-{number}.log")
