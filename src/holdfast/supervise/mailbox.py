"""The directories through which coordinators ask for agents: `requests/` and `responses/` of a home, for their owner alone.

    requests/NAME.json              waits to be read; the name means nothing
    requests/claimed/NAME.json      is being answered: moved there by one rename
    requests/answered/STEM.json     was carried out: {"answer": …, "request": …}
    requests/refused/UUID.json      could not be carried out, as it was; UUID.why.json says why
    requests/prompts/AGENT.txt      for commands that read their prompt from a file
    run/requests.lock               held by the one process that answers
    responses/STEM_response.json    the answer

STEM is the request's id where that can be a file's name (`requests.stem`). No id or name from outside becomes a path.

A file counts as soon as it holds one whole JSON object: what was only begun is none, so that who writes it in place is not cut
off either, and who renames it into place is served at once. One that holds anything else is refused when it has not changed for
`SETTLED_S`. A name that begins with a dot, or does not end in `.json`, is never looked at.

Between any two steps a request can be carried on by the next process: see `deploying.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from holdfast import clock
from holdfast.errors import HomeError, SuperviseError
from holdfast.failpoints import failpoint
from holdfast.ids import derived
from holdfast.journal.blobs import sync_directory, write_over
from holdfast.plain_files import content_of
from holdfast.store import lock
from holdfast.store.asking import RUN
from holdfast.supervise import requests
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.supervise.requests import Answer

REQUESTS: Final = "requests"
RESPONSES: Final = "responses"
SETTLED_S: Final = 10.0
_SUFFIX = ".json"
_WHY = ".why.json"
_RESPONSE = "_response.json"
_PROMPT = ".txt"
LOCK: Final = "requests.lock"
_INSIDE = ("claimed", "answered", "refused", "prompts")
_HALF = re.compile(r"\..+\.(?:json|txt)\.[0-9a-f]{32}")  # what `write_over` calls a file that it writes
_ANSWERING_MS: Final = 5_000  # another process may take so long for what it answers just now
_OLD_S = 3_600  # a temporary file that nobody can be writing any more


class Letter(NamedTuple):
    """A file that waits, or is claimed. A rename leaves `changed_ns` and `inode` as they are."""

    path: Path
    changed_ns: int
    inode: int

    @property
    def mark(self) -> str:
        """What tells it from every other."""
        return f"{self.changed_ns}/{self.inode}"


class Torn(NamedTuple):
    """What was read is no request, and may become one."""

    why: str


class Spoiled(NamedTuple):
    """What was read is no request, and becomes none."""

    why: str


class Kept(msgspec.Struct, frozen=True):
    """What stands in `answered/`."""

    answer: requests.Answer
    request: dict[str, Any]


class Aged(NamedTuple):
    """What is kept since long ago: files of requests that were carried out, that were refused, answers, prompts; and directories that
    stand where such files do, which nobody of ours made.
    """

    answered: list[Path]
    refused: list[Path]
    responses: list[Path]
    prompts: list[Path]
    strange: list[Path]


class _Why(msgspec.Struct, frozen=True):
    """What is read of `refused/UUID.why.json`; it holds the whole answer, and the file's name."""

    file: str
    request_id: str | None
    error: str | None


class Mailbox:
    """The directories of one home. Making it makes nothing; `open` does."""

    def __init__(self, home: Path) -> None:
        self._run = home / RUN
        self.requests = home / REQUESTS
        self.responses = home / RESPONSES
        self._claimed, self._answered, self._refused, self._prompts = (
            self.requests / name for name in _INSIDE
        )

    def open(self) -> None:
        """Make the directories, for their owner alone.

        Raises:
            HomeError: somebody else's things stand there, or they cannot be made.
        """
        for path in (self.requests, self.responses, *(self.requests / name for name in _INSIDE)):
            try:
                with contextlib.suppress(FileExistsError):
                    path.mkdir(mode=0o700)
                found = path.lstat()
                if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                    raise _unusable(path, "it is no directory of yours")
                if found.st_mode & 0o077:  # nobody else came by here: the home is closed
                    path.chmod(0o700)
            except OSError as exc:
                raise _unusable(path, exc.strerror or str(exc)) from exc

    @property
    def exists(self) -> bool:
        """Whether anybody ever asked, or was to be able to."""
        return self.requests.is_dir()

    @contextlib.contextmanager
    def alone(self, wait_ms: int) -> Iterator[bool]:
        """Be the one who answers, for the block; yields whether nobody else is.

        Raises:
            StoreError: the system does not let us ask.
        """
        self._run.mkdir(mode=0o700, exist_ok=True)
        with lock.held(self._run, wait_ms, name=LOCK) as mine:
            yield mine

    @contextlib.contextmanager
    def unanswered(self) -> Iterator[None]:
        """Have nobody answer for the block, where anybody ever could.

        Raises:
            SuperviseError: another process answers for long.
            StoreError: the system does not let us ask.
        """
        with self.alone(_ANSWERING_MS) if self.exists else contextlib.nullcontext(enter_result=True) as mine:
            if not mine:
                raise SuperviseError(
                    "another process answers requests, and has not ended",
                    hint="nothing was removed; run this again in a moment",
                )
            yield

    # ── what waits ──

    def waiting(self) -> list[Letter]:
        """What was written and nobody claimed, by the time of its last change, then by name."""
        return _letters(self.requests)

    def claimed(self) -> list[Letter]:
        """What a process claimed and did not answer."""
        return _letters(self._claimed)

    def read(self, letter: Letter) -> dict[str, Any] | Torn | Spoiled:
        """The object in a file.

        Raises:
            FileNotFoundError: it is gone.
            OSError: the system refuses; that is not the file's fault.
        """
        try:
            fd = os.open(letter.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):
                return Spoiled("it is no file")
            if exc.errno == errno.EACCES:
                return Spoiled(f"it cannot be read: {exc.strerror}")
            raise
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return Spoiled("it is no file")
            if found.st_uid not in (0, os.geteuid()):
                return Spoiled(f"it belongs to user {found.st_uid}")
            if found.st_size > requests.LIMIT_BYTES:
                return Spoiled(f"it is larger than {requests.LIMIT_BYTES:,} bytes")
            value = requests.parse(_content(fd))
            if isinstance(value, dict):
                return value
            return Spoiled(value) if _is_settled(os.fstat(fd).st_mtime) else Torn(value)
        finally:
            os.close(fd)

    # ── the way of a request ──

    def claim(self, letter: Letter) -> Letter | None:
        """Take a file out of those that wait; None: it is gone, or one of its name is being answered."""
        place = self._claimed / letter.path.name
        if os.path.lexists(place):
            return None
        try:
            letter.path.rename(place)
        except FileNotFoundError:
            return None
        self._sync(self._claimed, self.requests)
        failpoint("request.claimed")
        return letter._replace(path=place)

    def keep(self, stem: str, answer: Answer, request: dict[str, Any]) -> None:
        """Write down what a request is answered; from then on it is answered so."""
        content = msgspec.json.encode(Kept(answer, request)) + b"\n"
        write_over(self._answered / f"{stem}{_SUFFIX}", content)
        failpoint("request.kept")

    def kept(self, stem: str) -> Kept | None:
        """What a request of this stem was answered; None: none was carried out.

        Raises:
            HomeError: what stands there cannot be understood.
        """
        path = self._answered / f"{stem}{_SUFFIX}"
        try:
            return msgspec.json.decode(content_of(path, follow=False), type=Kept)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise _unusable(path, f"it cannot be read: {exc}") from exc
        except OSError as exc:
            raise _unusable(path, exc.strerror or str(exc)) from exc

    def answer(self, stem: str, answer: Answer) -> None:
        """Write the answer where the coordinator looks for it."""
        write_over(self.responses / f"{stem}{_RESPONSE}", msgspec.json.encode(answer) + b"\n")
        failpoint("request.answered")

    def response(self, stem: str) -> Answer | None:
        """The answer that lies there; None: none does.

        Raises:
            HomeError: what stands there cannot be understood.
        """
        path = self.responses / f"{stem}{_RESPONSE}"
        try:
            return msgspec.json.decode(content_of(path, follow=False), type=requests.Answer)
        except FileNotFoundError:
            return None
        except OSError as exc:
            raise _unusable(path, exc.strerror or str(exc)) from exc
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise _unusable(path, f"it is no answer: {exc}") from exc

    def drop(self, letter: Letter) -> None:
        """Remove a request that is answered: it is kept in `answered/`."""
        letter.path.unlink(missing_ok=True)
        self._sync(letter.path.parent)

    def set_aside(self, letter: Letter, why: Answer) -> None:
        """Keep what was refused, as it is, with what is wrong with it."""
        name = derived("refused", letter.path.name, letter.mark)  # if it is done again: the same
        about = {"file": visible(letter.path.name)} | msgspec.to_builtins(why)
        write_over(self._refused / f"{name}{_WHY}", msgspec.json.encode(about) + b"\n")
        failpoint("request.refused")
        with contextlib.suppress(FileNotFoundError):
            letter.path.rename(self._refused / f"{name}{_SUFFIX}")
        self._sync(self._refused, letter.path.parent)

    def refusals(self) -> list[dict[str, Any]]:
        """What was refused, the oldest first: `at`, `file` as it was called, `request_id`, `state` and `why`."""
        found = []
        for letter in _letters(self._refused):
            if letter.path.name.endswith(_WHY):
                with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                    said = msgspec.json.decode(content_of(letter.path, follow=False), type=_Why)
                    found.append(
                        {
                            "at": clock.iso(letter.changed_ns // 1_000),
                            "file": said.file,
                            "request_id": said.request_id,
                            "why": said.error,
                            "state": "refused",
                        }
                    )
        return found

    def prompt_path(self, agent: str) -> Path:
        """Where the prompt of an agent stands whose command reads it from a file."""
        return self._prompts / f"{agent}{_PROMPT}"

    def put_prompt(self, agent: str, prompt: str) -> None:
        """Write it there."""
        write_over(self.prompt_path(agent), prompt.encode())

    # ── from the other side ──

    def write(self, request: dict[str, Any], stem: str) -> None:
        """Put a request where it will be found, whole, in one step.

        Raises:
            OSError: the system refuses.
        """
        write_over(self.requests / f"{stem}{_SUFFIX}", msgspec.json.encode(request) + b"\n")

    def waits(self, stem: str) -> bool:
        """Whether what was put there so is not answered yet."""
        name = f"{stem}{_SUFFIX}"
        return (self.requests / name).exists() or (self._claimed / name).exists()

    def forget_response(self, stem: str) -> None:
        """Remove an answer, so that the next one is not taken for it.

        Raises:
            HomeError: what stands there cannot be removed.
        """
        path = self.responses / f"{stem}{_RESPONSE}"
        try:
            path.unlink(missing_ok=True)
        except OSError as exc:
            raise _unusable(path, exc.strerror or str(exc)) from exc

    # ── what is over ──

    def asked_for(self) -> tuple[set[str], bool]:
        """The ids of requests that wait or are claimed, and whether one is claimed of which that cannot be told."""
        ids, is_unsure = set(), False
        for letter in [*self.claimed(), *self.waiting()]:
            found: dict[str, Any] | Torn | Spoiled | None = None
            with contextlib.suppress(OSError):
                found = self.read(letter)
            request_id = found.get("request_id") if isinstance(found, dict) else None
            if isinstance(request_id, str):
                ids.add(request_id)
            else:
                is_unsure |= letter.path.parent == self._claimed
        return ids, is_unsure

    def may_start(self, request: str) -> bool:
        """Whether who answers next starts an agent for a request: it waits or is claimed, or that cannot be told, and it was not carried out."""
        ids, is_unsure = self.asked_for()
        return (request in ids or is_unsure) and not self.is_kept(requests.stem(request))

    def is_kept(self, stem: str) -> bool:
        """Whether anything is kept of a request that was carried out."""
        return os.path.lexists(self._answered / f"{stem}{_SUFFIX}")

    def aged(self, before_ns: int) -> Aged:
        """What was written before a moment, and is kept; see `Aged`. Links are not followed."""
        out = Aged([], [], [], [], [])
        for directory, suffix, found in (
            (self._answered, _SUFFIX, out.answered),
            (self._refused, _SUFFIX, out.refused),
            (self.responses, _RESPONSE, out.responses),
            (self._prompts, _PROMPT, out.prompts),
        ):
            with contextlib.suppress(FileNotFoundError):
                for path in sorted(directory.iterdir()):
                    known = path.lstat()
                    if known.st_ctime_ns < before_ns and path.name.endswith(suffix) and path.name[0] != ".":
                        (out.strange if stat.S_ISDIR(known.st_mode) else found).append(path)
        return out

    @staticmethod
    def stem_in(path: Path) -> str:
        """The stem, or the agent's id, that a file of ours has in its name."""
        return path.name.removesuffix(_RESPONSE).removesuffix(_SUFFIX).removesuffix(_PROMPT)

    def files(self, stem: str) -> list[Path]:
        """The files that are kept of a request that was answered."""
        found = (self._answered / f"{stem}{_SUFFIX}", self.responses / f"{stem}{_RESPONSE}")
        return [path for path in found if path.is_file() and not path.is_symlink()]

    def forget(self, stem: str) -> int:
        """Remove them; how many bytes. The request's id means nothing any more then."""
        places = (self._answered / f"{stem}{_SUFFIX}", self.responses / f"{stem}{_RESPONSE}")
        return sum(map(removed, places))

    def drop_prompt(self, agent: str) -> int:
        """Remove the prompt's file of an agent; how many bytes."""
        return removed(self.prompt_path(agent))

    def drop_temporaries(self) -> None:
        """Remove what processes left that were killed while they wrote."""
        for directory in (self.requests, self.responses, self._answered, self._refused, self._prompts):
            for path in directory.glob(".*.*"):
                with contextlib.suppress(FileNotFoundError):
                    if _HALF.fullmatch(path.name) and time.time() - path.lstat().st_mtime > _OLD_S:
                        path.unlink()

    @staticmethod
    def _sync(*directories: Path) -> None:
        for directory in directories:
            sync_directory(directory)


def _unusable(path: Path, why: str) -> HomeError:
    return HomeError(
        f"{path}: {why}", hint="move it away, or repair access; requests are answered again then"
    )


def _letters(directory: Path) -> list[Letter]:
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                with contextlib.suppress(FileNotFoundError):
                    known = entry.stat(follow_symlinks=False)
                    found.append(Letter(directory / entry.name, known.st_mtime_ns, known.st_ino))
    return sorted(found, key=lambda letter: (letter.changed_ns, letter.path.name))


def _content(fd: int) -> bytes:
    content = b""
    while len(content) <= requests.LIMIT_BYTES and (more := os.read(fd, requests.LIMIT_BYTES)):
        content += more
    return content


def _is_settled(changed_s: float) -> bool:
    return not 0 <= time.time() - changed_s < SETTLED_S


def removed(path: Path) -> int:
    """Remove a file, or a link; how many bytes. A directory stays: nobody who asks makes one."""
    try:
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode):
            return 0
        path.unlink()
    except FileNotFoundError:
        return 0
    return found.st_size
