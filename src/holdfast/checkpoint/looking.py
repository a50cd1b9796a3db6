"""Which files of a worktree belong into a checkpoint, and what stands in them now. Nothing of the worktree or of git's is changed.

git says which files it tracks, and which others it does not ignore. They are read as they lie there: no conversion that `.gitattributes` or
settings name is made. Links are kept as links, and no directory is reached through one. What is left out is told:

    secret        git does not track it, and it looks as if it held a secret
    large         larger than the limit for one file
    too_many      beyond so many files that git does not track, the first by name come in
    too_much      beyond so many bytes to read in one checkpoint, tracked files come in first
    unreadable    the system refuses it
    special       neither a file nor a link
    repository    a repository of its own, or a submodule: `holdfast checkpoint` in it keeps it
    name          a name that git keeps for itself (`.GIT`), so that it could not be given back
    sparse        a sparse checkout does not have it there, and the repository lacks it, or may; or a file stands where its directory was

What a sparse checkout does not have there is in as the index has it: nobody deleted it. Ignored files are not even looked for, unless asked for. Empty directories are nothing that git can keep.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from holdfast.checkpoint import secrets
from holdfast.checkpoint.kept import known
from holdfast.checkpoint.objects import Entry, name_of
from holdfast.git import NoAnswer, shortened, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.checkpoint.kept import Index, Known
    from holdfast.checkpoint.objects import Pack
    from holdfast.checkpoint.place import Place
    from holdfast.git import Asked, Git

MOST_UNTRACKED: Final = 10_000
MOST_READ_BYTES: Final = 2 << 30
SECRETS_LIMIT_S: Final = (
    1.0  # of processor time, to look into files that git does not track; beyond it, names alone count
)
MOST_NAMED: Final = 20
_TRIES: Final = 3  # of reading a file that changes meanwhile
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LEFT: Final = (
    "secret", "large", "too_many", "too_much", "unreadable", "special", "repository", "name", "sparse",
)  # fmt: skip
_UNSEEN: Final = rb"(?:\xe2\x80[\x8c-\x8f\xaa-\xae]|\xe2\x81[\xaa-\xaf]|\xef\xbb\xbf)*"  # characters that some systems drop
_GITS_OWN: Final = (
    re.compile(  # what git takes for `.git` on some system, and so refuses: `hasDotgit` in git-fsck(1)
        rb"(?i:(?:\A|/)(?:git~1|%b)[ .]*(?::[^/]*)?(?:/|\Z))"
        % (_UNSEEN + _UNSEEN.join([rb"\.", b"g", b"i", b"t"]) + _UNSEEN)
    )
)


@dataclass(slots=True)
class LeftOut:
    """Files of one reason: how many, and the first of them. What git itself could not read may hold more."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, path: bytes) -> None:
        self.count += 1
        if len(self.first) < MOST_NAMED:
            self.first.append(shown(path))


@dataclass(slots=True)
class Look:
    """What lies in a worktree.

    Attributes:
        files: every plain file that belongs into the checkpoint, with what can be kept of it for the next time.
        links: every link that does, and its object.
        absent: what a sparse checkout does not have there: git's mode, and its object.
        others: what can be kept of files that do not.
        fresh: objects that were not in the checkpoint before, as far as that is known.
        left_out: by reason.
        sparse: all that is left out because a sparse checkout does not have it there.
        unsteady: files that changed again and again while they were read; they are in as they were read last.
        unsearched: files that are in and were not searched for secrets, for want of time.
        size_bytes: of all files that are in.
        read_files, read_bytes: of those that had to be read.
        notes: what git could not look at; whether names alone decided about secrets.
    """

    files: dict[bytes, Known] = field(default_factory=dict)
    links: dict[bytes, str] = field(default_factory=dict)
    absent: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)
    others: dict[bytes, Known] = field(default_factory=dict)
    fresh: list[str] = field(default_factory=list)
    left_out: dict[str, LeftOut] = field(default_factory=lambda: {reason: LeftOut() for reason in _LEFT})
    sparse: set[bytes] = field(default_factory=set)
    unsteady: LeftOut = field(default_factory=LeftOut)
    unsearched: LeftOut = field(default_factory=LeftOut)
    size_bytes: int = 0
    read_files: int = 0
    read_bytes: int = 0
    notes: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[tuple[bytes, bytes, str]]:
        """Path, git's mode and object of every file and link."""
        for path, file in self.files.items():
            yield path, b"100755" if file.bits & 0o100 else b"100644", file.oid
        for path, oid in self.links.items():
            yield path, b"120000", oid
        for path, (mode, oid) in self.absent.items():
            yield path, mode, oid

    def entries(self) -> dict[bytes, Entry]:
        """Every file and link, as a tree of git's has it."""
        return {path: Entry(int(mode, 8), oid) for path, mode, oid in self.lines()}


@dataclass(frozen=True, slots=True)
class Rules:
    """What belongs in.

    Attributes:
        include_ignored, include_secrets: files that are left out otherwise.
        file_limit_bytes: of one file.
        secret_in: the kind of the first secret in a text, "" for none; told whether the text is settings.
    """

    include_ignored: bool
    include_secrets: bool
    file_limit_bytes: int
    secret_in: Callable[[bytes, bool], str]


class _Listed(NamedTuple):
    path: bytes
    oid: str | None  # of a tracked file in the user's index; None: git does not track it
    kind: str  # "file", "sparse" or "repository"
    mode: bytes  # git's, in octal; b"": git does not track it


def begin(git: Git, rules: Rules) -> Asked:
    """Have git list the files. Raises NoAnswer."""
    ignored = [] if rules.include_ignored else ["--exclude-standard"]
    return git.begin("ls-files", "-z", "-t", "--stage", "--cached", "--others", *ignored)


class Looker:
    """Looks at one worktree.

    Args:
        place: where.
        rules: what belongs in.
        index: what is known from the last time.
        is_kept: the repository has and keeps what the index names.
        pack: gets every content that it may not have; None: nothing is to be kept.
        borrow: take it that the repository has what its own index names.
    """

    def __init__(
        self,
        place: Place,
        rules: Rules,
        index: Index,
        pack: Pack | None,
        *,
        is_kept: bool,
        borrow: bool,
    ) -> None:
        self._place, self._rules, self._index = place, rules, index
        self._is_kept, self._pack, self._borrow = is_kept, pack, borrow
        self._real: dict[bytes, bool] = {b"": True}
        self._ahead: dict[bytes, os.stat_result] = {}
        self._began_ns = time.time_ns()
        self._secrets_s = 0.0
        self._has_searched = False
        self._is_partial: bool | None = None
        self._is_sparse: bool | None = None
        self.out = Look()

    def run(self, asked: Asked) -> Look:
        """Look at every file that git lists. Raises NoAnswer."""
        self._look_ahead()
        listed = _listed(asked.answer())
        if words := shown(asked.said).strip():
            self.out.notes.append(f"git says: {shortened(' '.join(words.split()))}")
        left = self._as_it_was([one for one in listed if one[2]])
        untracked = [one for one in listed if not one[2]]
        for one in untracked[MOST_UNTRACKED:]:
            self.out.left_out["too_many"].add(one[4])
        left += self._as_it_was(untracked[:MOST_UNTRACKED])
        for tag, mode, oid, _, path in left:
            self._one(_Listed(path.rstrip(b"/"), oid.decode() or None, _kind(tag, mode, path), mode))
        if self.out.absent:
            self._leave_out_hidden()
        if self.out.absent and self._pack is not None:
            self._weigh_absent()
        if count := len(self.out.absent):
            self.out.notes.append(
                f"{count} files that a sparse checkout does not have there are in as git's index has them"
            )
        if (some := self.out.unsearched).count:
            self.out.notes.append(
                f"so many files are untracked that not all were searched for secrets; names alone decided about {some.count} of them, "
                f"such as {some.first[0]}; the next checkpoint goes on"
            )
        return self.out

    def _look_ahead(self) -> None:
        """While git lists the files, ask the system about those that were known the last time."""
        if not self._is_kept and self._pack is not None:
            return
        root, lstat = self._place.root + b"/", os.lstat
        for path in self._index.files:
            try:
                self._ahead[path] = lstat(root + path)
            except OSError:
                continue

    def _as_it_was(self, listed: list[_Line]) -> list[_Line]:
        """Take in the files that are as they were the last time, and give the others back. Most are, so this is made for speed."""
        if not self._is_kept and self._pack is not None:
            return listed
        real, files, out, ahead = self._real, self._index.files, self.out.files, self._ahead
        limit_bytes, all_judged = self._rules.file_limit_bytes, self._rules.include_secrets
        left, size_bytes = [], 0
        for one in listed:
            path = one[4]
            before, found = files.get(path), ahead.get(path)
            directory = path.rpartition(b"/")[0]
            if (
                before is None
                or found is None
                or not (real[directory] if directory in real else self._is_below(directory))
            ):
                left.append(one)
                continue
            if (
                before.ctime_ns == found.st_ctime_ns
                and before.mtime_ns == found.st_mtime_ns
                and before.inode == found.st_ino
                and before.size == found.st_size <= limit_bytes
                and not before.secret
                and (one[2] or all_judged or before.secret == "")  # "": its name was judged too
            ):
                out[path] = before
                size_bytes += before.size
            else:
                left.append(one)
        self.out.size_bytes += size_bytes
        return left

    def _one(self, one: _Listed) -> None:
        if one.kind == "repository" or _GITS_OWN.search(one.path):
            self.out.left_out["name" if one.kind != "repository" else one.kind].add(one.path)
            return
        if not self._is_below(one.path.rpartition(b"/")[0]):
            self._gone(one)  # a link, or nothing, stands where its directory was
            return
        try:
            found = os.lstat(os.path.join(self._place.root, one.path))  # noqa: PTH118 - bytes
        except (FileNotFoundError, NotADirectoryError):
            self._gone(one)
            return
        except OSError:
            self.out.left_out["unreadable"].add(one.path)
            return
        if stat.S_ISREG(found.st_mode):
            self._file(one, found)
        elif stat.S_ISLNK(found.st_mode):
            self._link(one.path)
        elif not stat.S_ISDIR(found.st_mode):
            self.out.left_out["special"].add(one.path)

    def _gone(self, one: _Listed) -> None:
        """Nothing lies there: it was deleted, unless a sparse checkout never had it there."""
        if one.kind != "sparse" or one.oid is None or not self._has_sparse_checkout():
            return
        if self._borrow and not self._lacks_objects():
            self.out.absent[one.path] = (one.mode, one.oid)
        else:
            self._leave_out_sparse(one.path)

    def _leave_out_sparse(self, path: bytes) -> None:
        self.out.left_out["sparse"].add(path)
        self.out.sparse.add(path)

    def _leave_out_hidden(self) -> None:
        """Where a file or link stands in place of a directory that a sparse checkout has not there, a tree cannot have both."""
        for path in list(self.out.absent):
            directory = path
            while directory := directory.rpartition(b"/")[0]:
                if directory in self.out.files or directory in self.out.links:
                    del self.out.absent[path]
                    self._leave_out_sparse(path)
                    break

    def _has_sparse_checkout(self) -> bool:
        """Whether it is one; `git update-index --skip-worktree` marks files alike. Raises NoAnswer."""
        if self._is_sparse is None:
            said = self._place.git()("config", "--type=bool", "--get", "core.sparseCheckout", empty_at=1)
            self._is_sparse = said.strip() == b"true"
        return self._is_sparse

    def _weigh_absent(self) -> None:
        """Learn how large that is which lies in the repository alone; what is not even there is left out. Raises NoAnswer."""
        absent = list(self.out.absent.items())
        given = "".join(f"{oid}\n" for _, (_, oid) in absent).encode()
        said = self._place.git()("cat-file", "--batch-check=%(objecttype) %(objectsize)", given=given)
        lines = said.splitlines()
        if len(lines) != len(absent):
            raise NoAnswer("git's answer about its objects is not understood")
        for (path, (mode, _)), line in zip(absent, lines, strict=True):
            kind, _, size = line.partition(b" ")
            if kind != b"blob":
                del self.out.absent[path]
                self._leave_out_sparse(path)
            elif mode != b"120000":
                self.out.size_bytes += int(size)

    def _lacks_objects(self) -> bool:
        """Whether the repository is a partial clone, which need not have what its index names."""
        if self._is_partial is None:
            packs = os.path.join(self._place.common_dir, "objects", "pack")  # noqa: PTH118
            with contextlib.suppress(FileNotFoundError):
                self._is_partial = any(name.endswith(".promisor") for name in os.listdir(packs))  # noqa: PTH208
        return bool(self._is_partial)

    def _is_below(self, directory: bytes) -> bool:
        """Whether this is a directory in the worktree that no link leads to."""
        if directory not in self._real:
            real = self._is_below(directory.rpartition(b"/")[0])
            with contextlib.suppress(OSError):
                real = real and stat.S_ISDIR(os.lstat(b"%b/%b" % (self._place.root, directory)).st_mode)
                self._real[directory] = real
                return real
            self._real[directory] = False
        return self._real[directory]

    def _link(self, path: bytes) -> None:
        try:
            target = os.readlink(os.path.join(self._place.root, path))  # noqa: PTH115, PTH118 - bytes
        except OSError:
            self.out.left_out["unreadable"].add(path)
            return
        oid = name_of("blob", target, self._place.algorithm)
        if self._pack is not None:
            self._pack.add("blob", target, oid)
        self.out.links[path] = oid

    # ── plain files ──

    def _file(self, one: _Listed, found: os.stat_result) -> None:
        if self._is_refused(one, found):
            return
        read = self._read(one, found)
        if read is None:
            return
        now, found = read
        if now.secret:
            self.out.others[one.path] = now
            self.out.left_out["secret"].add(one.path)
            return
        self.out.size_bytes += found.st_size
        self.out.files[one.path] = now
        self.out.fresh.append(now.oid)

    def _is_refused(self, one: _Listed, found: os.stat_result) -> bool:
        """Whether a file is left out by its name or its size."""
        reason = None
        if one.oid is None and not self._rules.include_secrets and secrets.by_name(one.path):
            reason = "secret"
        elif found.st_size > self._rules.file_limit_bytes:
            reason = "large"
        if reason is not None:
            self.out.left_out[reason].add(one.path)
        return reason is not None

    def _read(self, one: _Listed, found: os.stat_result) -> tuple[Known, os.stat_result] | None:
        """Read a file, and keep its content; None: it is left out, or gone."""
        if self.out.read_bytes + found.st_size > MOST_READ_BYTES:
            self.out.left_out["too_much"].add(one.path)
            return None
        try:
            content, found, is_steady = self._content(one.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except _NoFile:
            self.out.left_out["special"].add(one.path)
            return None
        except OSError:
            self.out.left_out["unreadable"].add(one.path)
            return None
        if len(content) > self._rules.file_limit_bytes:
            self.out.left_out["large"].add(one.path)
            return None
        self.out.read_files += 1
        self.out.read_bytes += len(content)
        if not is_steady:
            self.out.unsteady.add(one.path)
        oid = name_of("blob", content, self._place.algorithm)
        secret = self._secret(one, content)
        if not secret:
            self._keep(one, oid, content)
        return known(found, oid, secret, self._began_ns if is_steady else 0), found

    def _keep(self, one: _Listed, oid: str, content: bytes) -> None:
        is_theirs = self._borrow and oid == one.oid
        if self._pack is not None and not is_theirs:
            self._pack.add("blob", content, oid)

    def _secret(self, one: _Listed, content: bytes) -> str | None:
        """What the content of an untracked file tells; None: it was not looked at, and is the next time."""
        if one.oid is not None or self._rules.include_secrets:
            return None
        text = secrets.text_of(content)
        if text is None:
            return ""
        if self._secrets_s > SECRETS_LIMIT_S:
            self.out.unsearched.add(one.path)
            return None
        began_s = time.thread_time()
        try:
            return self._rules.secret_in(text, secrets.is_settings(one.path))
        finally:
            if self._has_searched:  # the first time also reads the rules
                self._secrets_s += time.thread_time() - began_s
            self._has_searched = True

    def _content(self, path: bytes) -> tuple[bytes, os.stat_result, bool]:
        """A file's bytes as they were at one moment, what the system says of it, and whether such a moment was found."""
        fd = self._opened(path)
        try:
            content, before = b"", os.fstat(fd)
            if not stat.S_ISREG(before.st_mode):
                raise _NoFile
            for _ in range(_TRIES):
                content = _bytes(fd, self._rules.file_limit_bytes)
                after = os.fstat(fd)
                same = (before.st_mtime_ns, before.st_ctime_ns, len(content)) == (
                    after.st_mtime_ns,
                    after.st_ctime_ns,
                    after.st_size,
                )
                if same or len(content) > self._rules.file_limit_bytes:
                    return content, after, True
                before = after
            return content, before, False
        finally:
            os.close(fd)

    def _opened(self, path: bytes) -> int:
        """A file, open; no link is followed on the way to it."""
        *directories, name = path.split(b"/")
        at = os.open(self._place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for directory in directories:
                below = os.open(directory, _DIRECTORY, dir_fd=at)
                os.close(at)
                at = below
            return os.open(name, _FILE, dir_fd=at)
        finally:
            os.close(at)


class _NoFile(Exception):
    """What was a plain file a moment ago is none."""


def _bytes(fd: int, limit_bytes: int) -> bytes:
    """What stands in a file from its beginning, and one byte more than the limit at most."""
    os.lseek(fd, 0, os.SEEK_SET)
    pieces, left = [], limit_bytes + 1
    while left > 0 and (piece := os.read(fd, min(left, 1 << 20))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


# git's list: "H 100644 <name> 0\\tpath" for each tracked file (more than once where it is unmerged), "? path" for others.
_LINE: Final = re.compile(rb"([A-Z?]) (?:(\d{6}) ([0-9a-f]{40,64}) ([0-3])\t)?([^\0]+)\0")
_Line = tuple[bytes, bytes, bytes, bytes, bytes]


def _listed(said: bytes) -> list[_Line]:
    """What git lists, each file once. Raises NoAnswer."""
    found: list[_Line] = _LINE.findall(said)
    if len(found) != said.count(b"\0"):
        raise NoAnswer("git's list of files is not understood")
    if any(one[0] == b"M" for one in found):
        found = list({one[4]: one for one in found}.values())
    return found


def _kind(tag: bytes, mode: bytes, path: bytes) -> str:
    if mode == b"160000" or (tag == b"?" and path.endswith(b"/")):
        return "repository"
    return "sparse" if tag == b"S" else "file"
