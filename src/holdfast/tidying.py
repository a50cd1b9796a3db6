"""Remove what agents left that ended long ago: their run directories, with their output, and what is kept of the requests for them.

What was recorded of them stays in the journal. An agent that is alive, or is to be started again, is never removed; nor is one whose
directory cannot be read: a person is to look at it first; nor one whose request waits to be answered. Nobody answers requests meanwhile.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import zstandard

from holdfast import clock, run_views, supervising
from holdfast.errors import AgentRuns, HomeError, SuperviseError
from holdfast.failpoints import failpoint
from holdfast.journal.blobs import sync_directory
from holdfast.supervise import reach, requests, tools
from holdfast.supervise import spec as specs
from holdfast.supervise.mailbox import Mailbox, removed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.home import Home
    from holdfast.run_views import View

LEVEL: Final = 3  # of compression, as of sealed segments
SUFFIX: Final = ".tar.zst"
_SECRET: Final = frozenset(
    {"start.json", "settings.json"}
)  # the whole environment of an attempt, and what its tool was told


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent that ended before the limit. `size_bytes` is what its files take."""

    view: View
    ended_us: int
    request: str | None
    size_bytes: int

    @property
    def id(self) -> str:
        return self.view.id

    @property
    def name(self) -> str | None:
        return self.view.name

    @property
    def status(self) -> str:
        return self.view.status


@dataclass(slots=True)
class Plan:
    """What would be removed.

    Attributes:
        before_us: everything that is removed ended, or was refused, earlier.
        agents: those that go.
        kept: how many stay, by the reason: alive, something of it runs on, to be started again, recent, cannot be read, its request waits to be answered.
        stale: stems of requests whose agents were removed before.
        refused: files of requests that were refused.
        leftover: answers and prompts that belong to no request and no agent any more.
        strange: directories that stand where such files do; they stay.
        other_bytes: what all but the agents takes.
    """

    before_us: int
    agents: list[Candidate] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)
    refused: list[Path] = field(default_factory=list)
    leftover: list[Path] = field(default_factory=list)
    strange: list[Path] = field(default_factory=list)
    other_bytes: int = 0

    @property
    def size_bytes(self) -> int:
        return self.other_bytes + sum(one.size_bytes for one in self.agents)


@dataclass(slots=True)
class Done:
    """What was removed, and what was not after all, with the reason."""

    agents: list[Candidate] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    size_bytes: int = 0


def plan(home: Home, keep_days: int) -> Plan:
    """Look at every agent, and at what is kept of requests; changes nothing.

    Raises:
        HomeError: what stands where requests lie is not ours.
    """
    out, box = Plan(home.now_us() - keep_days * clock.DAY_US), Mailbox(home.path)
    if box.exists:
        box.open()
    ids, is_unsure = box.asked_for()
    sight = reach.Sight()
    for view in run_views.agents(home, ended=True):
        request = None if view.spec is None else view.spec.request
        is_asked = request is not None and (
            request in ids or (is_unsure and not box.is_kept(requests.stem(request)))
        )
        why = _kept_because(view, out.before_us, sight) or (
            "its request waits to be answered" if is_asked else None
        )
        if why is not None:
            out.kept[why] = out.kept.get(why, 0) + 1
        else:
            out.agents.append(_candidate(view))
    _plan_requests(home, box, out, set(map(requests.stem, ids)))
    return out


def _plan_requests(home: Home, box: Mailbox, out: Plan, asked: set[str]) -> None:
    """What is kept of requests, and of no agent that is there. `asked`: stems of those that wait to be answered."""
    run, aged = supervising.run_directory(home), box.aged(out.before_us * 1_000)
    stems = [stem for stem in map(box.stem_in, aged.answered) if stem not in asked]
    out.stale = [stem for stem in stems if _is_removed(box, run, stem)]
    out.refused, out.strange = aged.refused, aged.strange
    out.leftover = [
        path for path in aged.responses if (stem := box.stem_in(path)) not in asked and not box.is_kept(stem)
    ] + [path for path in aged.prompts if not (run / box.stem_in(path)).exists()]
    of_stale = [path for stem in out.stale for path in box.files(stem)]
    out.other_bytes = sum(map(_size_bytes, [*out.refused, *out.leftover, *of_stale]))


def _is_removed(box: Mailbox, run: Path, stem: str) -> bool:
    """Whether the agent of a request was removed; not, where what is kept of it does not tell which one it was."""
    try:
        kept = box.kept(stem)
    except (HomeError, OSError):
        return False
    return kept is not None and kept.answer.agent is not None and not (run / kept.answer.agent).exists()


def _kept_because(view: View, before_us: int, sight: reach.Sight) -> str | None:
    if view.is_alive:
        return "alive"
    if reach.survivors(view.look, view.directory, sight):
        return "something of it runs on"
    if view.spec is None:
        return "cannot be read"
    if not view.is_ended:
        return "to be started again"
    return "recent" if _ended_us(view) >= before_us else None


def _ended_us(view: View) -> int:
    """When it was heard of last, at the latest."""
    last = view.last
    known = [] if last is None else [last.ended_us, last.seen_us, last.started_us, last.created_us]
    return max((at for at in known if at is not None), default=view.spec.created_us if view.spec else 0)


def _candidate(view: View) -> Candidate:
    assert view.spec is not None
    size_bytes = sum(map(_size_bytes, _files(view.directory)))
    return Candidate(view, _ended_us(view), view.spec.request, size_bytes)


def _files(directory: Path) -> Iterator[Path]:
    for place, _, names in os.walk(directory):
        for name in names:
            yield Path(place, name)


def _size_bytes(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.lstat().st_size
    return 0


def clean(home: Home, keep_days: int, archive: Path | None = None) -> tuple[Plan, Done]:
    """Remove what `plan` names; with `archive` only what was written there first, as one `AGENT.tar.zst` each.

    Killed at any moment, an agent is there whole or gone, and gone only after its archive is on the disk; the next run goes on.

    Raises:
        SuperviseError: the archive cannot be written. What was removed until then stays so. Or another process answers requests for long;
            nothing was removed.
        HomeError: as `plan`.
    """
    box = Mailbox(home.path)
    with box.unanswered():
        planned = plan(home, keep_days)
        return planned, _carry_out(home, box, planned, archive)


def _carry_out(home: Home, box: Mailbox, planned: Plan, archive: Path | None) -> Done:
    out = Done(left=[(os.fspath(path), "it is no file") for path in planned.strange])
    if archive is not None:
        _prepare(archive)
    for one in planned.agents:
        if not one.view.directory.exists():
            continue  # somebody removed it meanwhile
        try:
            made = None if archive is None else _archive(home, archive, box, one)
            failpoint("cleanup.archived")
            supervising.discard(home, one.view)
        except (AgentRuns, _Unfit) as exc:
            out.left.append((one.id, str(exc)))
            continue
        failpoint("cleanup.removed")
        out.agents.append(one)
        out.archives += [] if made is None else [made]
        out.size_bytes += one.size_bytes + box.drop_prompt(one.id)
        if one.request is not None:
            out.size_bytes += box.forget(requests.stem(one.request))
    out.size_bytes += sum(map(box.forget, planned.stale))
    out.size_bytes += sum(map(removed, [*planned.refused, *planned.leftover]))
    return out


# ── archives ──


def _prepare(archive: Path) -> None:
    try:
        archive.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise _unwritten(archive, exc) from exc


def _archive(home: Home, archive: Path, box: Mailbox, one: Candidate) -> Path:
    """Write an agent's directory, and what is kept of its request, into an archive; read it back; give it its name."""
    place = archive / f"{one.id}{SUFFIX}"
    temporary = archive / f".{place.name}.{os.urandom(8).hex()}"
    try:
        members = _members(home, box, one)
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                _pack(file, members)
                file.flush()
                os.fsync(fd)
            _compare(temporary, members)
            temporary.replace(place)
            sync_directory(archive)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, tarfile.TarError, zstandard.ZstdError) as exc:
        raise _unwritten(place, exc) from exc
    return place


@dataclass(frozen=True, slots=True)
class _Member:
    """A file that goes into an archive; `instead`: what stands there in place of its content."""

    path: Path
    instead: bytes | None = None

    @property
    def size_bytes(self) -> int:
        """Of its content; of what is no plain file, none is kept."""
        if self.instead is not None:
            return len(self.instead)
        return _size_bytes(self.path) if self.path.is_file() and not self.path.is_symlink() else 0


def _members(home: Home, box: Mailbox, one: Candidate) -> dict[str, _Member]:
    """What goes into the archive of an agent, by name. Raises _Unfit, OSError."""
    directory, out = one.view.directory, {}
    for path in sorted(_files(directory)):
        if path.name not in _SECRET:
            instead = _without_values(home, path) if path == directory / specs.NAME else None
            out[f"{one.id}/{path.relative_to(directory)}"] = _Member(path, instead)
    for path in [] if one.request is None else box.files(requests.stem(one.request)):
        instead = _without_values(home, path) if path.parent != box.responses else None
        out[f"{one.id}/{path.parent.name}/{path.name}"] = _Member(path, instead)
    return out


def _without_values(home: Home, path: Path) -> bytes | None:
    """A spec, or what is kept of a request, with placeholders for the values of variables; None: it names none. Raises _Unfit, OSError."""
    try:
        whole = json.loads(path.read_bytes())
        said = whole["request"] if isinstance(whole.get("request"), dict) else whole
        argv = said.get("argv")
        stripped = tools.without_settings(argv) if isinstance(argv, list) else argv
        variables = {name: _hidden(home, said[name]) for name in ("environment", "env") if said.get(name)}
    except (ValueError, RecursionError, AttributeError, TypeError) as exc:
        raise _Unfit(f"{path} cannot be read, so that what is secret in it could be left out: {exc}") from exc
    if not variables and stripped == argv:
        return None
    said |= variables | ({} if argv is None else {"argv": stripped})
    return json.dumps(whole, indent=1).encode() + b"\n"


def _hidden(home: Home, value: Any) -> Any:  # noqa: ANN401 - a request may say anything where it means nothing to us
    """A placeholder, or one for each variable."""
    if isinstance(value, dict):
        return {name: _hidden(home, str(one)) for name, one in value.items()}
    text = value if isinstance(value, str) else json.dumps(value)
    return home.redactor.placeholder("environment", text.encode("utf-8", "replace")).decode()


def _pack(file, members: dict[str, _Member]) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - any binary stream
    packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True)
    with packer.stream_writer(file, closefd=False) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
        for name, member in members.items():
            if member.instead is None:
                tar.add(member.path, arcname=name, recursive=False)
            else:
                about = tar.gettarinfo(member.path, arcname=name)
                about.size = len(member.instead)
                tar.addfile(about, io.BytesIO(member.instead))


class _Unfit(Exception):
    """What lies there cannot be archived as it is: it changes, or cannot be understood."""


def _compare(packed: Path, members: dict[str, _Member]) -> None:
    """Read an archive back: every member is there, whole, and as long as its file. Raises _Unfit."""
    found = {}
    with packed.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
        with tarfile.open(fileobj=plain, mode="r|") as tar:
            for member in tar:
                found[member.name] = member.size
        while plain.read(1 << 16):
            pass  # the checksum stands at the end
    missing = sorted(name for name, member in members.items() if found.get(name) != member.size_bytes)
    if missing:
        raise _Unfit(f"{missing[0]} changes; something that it left behind may write to it")


def _unwritten(place: Path, exc: Exception) -> SuperviseError:
    why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
    return SuperviseError(
        f"{place}: {why}",
        hint="what is not archived was not removed; make room or repair access, then run this again",
    )
