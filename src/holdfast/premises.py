"""The directory that is a home: made with its owner's rights only, checked, and marked with its format."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holdfast import processes, redact
from holdfast.errors import HomeError, HomeFromFuture, HomeOutdated
from holdfast.failpoints import failpoint
from holdfast.journal.blobs import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
MARK = "home.json"
_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "glusterfs",
        "lustre",
        "fuse.sshfs",
        "fuse.rclone",
    }
)


# Of `write_new`: ".home.json.", then in hexadecimal the writer's number (8), its start (16), and chance (16).
TEMPORARY = re.compile(
    r"\.(?:home\.json|host-id|redaction-key)\.(?:([0-9a-f]{8})([0-9a-f]{16})[0-9a-f]{16}|[0-9a-f]{32})\Z"
)
_TEMPORARY_FOR_S = (
    60  # a file that is younger may be at work in a container whose processes cannot be seen from here
)


class _Mark(msgspec.Struct):
    format: int
    redaction: int


def prepare(path: Path, *, outdated: bool = False) -> None:
    """Make the home, or check the one there is; with `outdated`, one of a lower redaction level too."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as exc:
        raise unusable(path, exc.strerror or str(exc)) from exc
    if found.st_uid != os.geteuid():
        raise unusable(path, f"it belongs to user {found.st_uid}, not to you ({os.geteuid()})")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise unusable(path, f"user {os.geteuid()} may not read and write it")
    if found.st_mode & 0o077:
        _refuse_foreign(path)
    kind = file_system(path)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise unusable(
            path, f"it lies on a network file system ({kind}), where locks and appends are not safe"
        )
    _check_mark(path, outdated=outdated)
    if found.st_mode & 0o077:
        path.chmod(0o700)


def _refuse_foreign(path: Path) -> None:
    """Never close a directory that others may use and that holds somebody else's things."""
    if (path / MARK).exists():
        return
    ours = {"config.toml", "sample"}
    names = sorted(os.listdir(path))  # noqa: PTH208 - names only
    foreign = [name for name in names if name not in ours and not name.startswith(f".{MARK}.")]
    if foreign and not (path / MARK).exists():  # asked again: another first run may just have made it
        raise unusable(
            path, f"it is no Holdfast home, open to others, and not empty (it holds {foreign[0]!r})"
        )


def unusable(path: Path, why: str) -> HomeError:
    return HomeError(
        f"home {path} cannot be used: {why}", hint="set HOLDFAST_HOME to a local directory of yours"
    )


def _check_mark(path: Path, *, outdated: bool) -> None:
    mark = path / MARK
    try:
        found = msgspec.json.decode(mark.read_bytes(), type=_Mark)
    except FileNotFoundError:
        failpoint("home.made")
        _sync_above(path)
        write_new(mark, msgspec.json.encode(_Mark(FORMAT, redact.LEVEL)) + b"\n")
        return
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as exc:
        hint = 'restore it from a backup; its content is {"format":1,"redaction":n}'
        raise HomeError(f"{mark}: cannot be read: {exc}", hint=hint) from exc
    if found.format > FORMAT or found.redaction > redact.LEVEL:
        hint = "upgrade this Holdfast (`pip install --upgrade holdfast`)"
        made = f"{MARK}: format {found.format}, redaction {found.redaction}"
        what = f"home {path} was written by a newer Holdfast ({made}; this one knows {FORMAT} and {redact.LEVEL})"
        raise HomeFromFuture(what, hint=hint)
    if found.redaction < redact.LEVEL and not outdated:
        since = (
            "existed"
            if found.redaction <= 0
            else f"was what it is now (level {found.redaction}, now {redact.LEVEL})"
        )
        what = f"home {path} was written before redaction {since}; it may hold secrets"
        raise HomeOutdated(what, hint="run `holdfast redact apply`: it takes them out of what is stored")


def level(home: Path) -> int:
    """The redaction level that a home's mark says.

    Raises:
        OSError, msgspec.DecodeError: it cannot be read.
    """
    return msgspec.json.decode((home / MARK).read_bytes(), type=_Mark).redaction


def raise_level(home: Path) -> None:
    """Let the mark say that all in the home is clean by today's rules; when this returns, it survives a power cut.

    Raises:
        OSError: it could not be written; the old mark stands.
    """
    mark = home / MARK
    temporary = mark.with_name(f".{MARK}.{_owner()}{os.urandom(8).hex()}")
    try:
        _write_whole(temporary, msgspec.json.encode(_Mark(FORMAT, redact.LEVEL)) + b"\n")
        failpoint("home.raising")
        temporary.replace(mark)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(home)


def _sync_above(path: Path) -> None:
    """Make the home's own name durable, and those of the directories above it: this may be their first moment.

    The mark is written afterwards, so a home that is marked has a name that stays. Where another file system begins,
    nothing was made by us; nor in a directory that we may not read.
    """
    try:
        device = path.stat().st_dev
        for directory in path.resolve().parents:
            if directory.stat().st_dev != device:
                break
            with contextlib.suppress(PermissionError):
                sync_directory(directory)
    except OSError as exc:
        raise unusable(path, f"its name cannot be made durable: {exc.strerror}") from exc


def write_new(path: Path, content: bytes) -> None:
    """Write a small file whole; whoever is first wins, and nobody ever sees half of it.

    Raises:
        HomeError: it could not be written.
    """
    temporary = path.with_name(f".{path.name}.{_owner()}{os.urandom(8).hex()}")
    try:
        try:
            _write_whole(temporary, content)
            failpoint("home.naming")
            _name(temporary, path)
            failpoint("home.named")
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise unusable(path.parent, f"{path.name} cannot be written: {exc.strerror}") from exc


def _owner() -> str:
    """The process that writes, as it stands in the name of its temporary file."""
    me = processes.mine()
    return f"{me.pid:08x}{me.started_ticks or 0:016x}"


def temporaries(home: Path) -> Iterator[tuple[Path, bool]]:
    """What first runs that were killed left: the file, and whether it is certain that nobody needs it."""
    for name in sorted(os.listdir(home)):  # noqa: PTH208 - names only
        found = TEMPORARY.match(name)
        if found is None:
            continue
        try:
            age_s = time.time() - (home / name).lstat().st_mtime
        except FileNotFoundError:
            continue
        yield home / name, found[1] is not None and age_s > _TEMPORARY_FOR_S and not _lives(found)


def _lives(found: re.Match[str]) -> bool:
    ticks = int(found[2], 16)
    return processes.is_alive(processes.Identity(int(found[1], 16), ticks or None, processes.boot_id()))


def drop_temporaries(home: Path) -> None:
    """Remove what first runs left whose process is certainly dead."""
    with contextlib.suppress(OSError):
        for path, certain in temporaries(home):
            if certain:
                path.unlink(missing_ok=True)


def _name(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # no hard links here: a rename is as whole, only not exclusive
        temporary.replace(path)


def _write_whole(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.write(fd, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)


def file_system(path: Path) -> str | None:
    """The type of file system a path lies on ("ext4", "nfs4"); None where the platform does not tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return None
    best, kind = "", None
    here = str(path.resolve()) + "/"
    for mount, name in _mounts(lines):
        if here.startswith(mount.rstrip("/") + "/") and len(mount) >= len(best):
            best, kind = mount, name
    return kind


def _mounts(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        fields, _, rest = line.partition(" - ")
        parts = fields.split(" ")
        if len(parts) > 4 and rest:
            yield parts[4].replace("\\040", " "), rest.split(" ", 1)[0]


def is_marked(path: Path) -> bool:
    """Whether a directory bears the mark of a home, of any version. Nothing is followed, nothing made."""
    try:
        fd = os.open(path / MARK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return isinstance(msgspec.json.decode(os.read(fd, 4096), type=_Mark), _Mark)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return False
    finally:
        os.close(fd)
