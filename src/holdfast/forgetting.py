"""Forget sessions: look what is theirs, show it, and write the journal and everything made from it anew without it.

What is a session's: every record of a source file of which some record speaks of it, or whose path names it; of a file whose path names
another session only the records that speak of it; records of programs that speak of it, and of agents' meta files that do or stand beside
such a source file; moves of workspaces that
concern no other session; titles of its lines in the files of others. In the place of each stays a tombstone (`journal.format.tombstone`).

Before anything is rewritten, `forgotten` names what goes, by keyed hashes. So it is left out from that moment on when it comes again,
and work that was cut can be ended without knowing a name (`docs/decisions/0014-forgotten-history.md`).
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from holdfast import rewriting
from holdfast.capture import codex_hooks
from holdfast.capture.claude_files import session_named, transcript_beside
from holdfast.capture.claude_transcripts import WHOLE_SOURCES
from holdfast.errors import SegmentHeld, StillAlive
from holdfast.events import SessionNoted, WorkspaceMoved
from holdfast.failpoints import failpoint
from holdfast.forgotten import Entry
from holdfast.home import translators
from holdfast.journal import format as fmt
from holdfast.journal import reader, segments, verify
from holdfast.recover.resume import file_stem
from holdfast.store import asking, bodies, outline
from holdfast.store.project import FILE_SOURCE, SHARED_SOURCES, start_of
from holdfast.store.statements import statements
from holdfast.supervise import linked, look, tools
from holdfast.supervise.spec import own_session
from holdfast.transfer.outgoing import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator
    from pathlib import Path

    import apsw

    from holdfast.events import Event
    from holdfast.forgotten import Forgotten, Hashes
    from holdfast.home import Home
    from holdfast.journal.format import Record
    from holdfast.supervise.look import AgentLook, Life

WHY = fmt.FORGOTTEN
_HINT = "nothing of it comes back meanwhile; `holdfast forget` ends it"
# What of a line that is no record tells whose it was.
_TELLING = re.compile(
    rb'"(?:p":\[|id":)"(?P<file>[0-9a-f]{16}(?:\.[0-9a-f-]{36}){0,2})"'
    rb"|(?P<claude>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
    rb'|"session(?:_id)?"\s*:\s*"(?P<sdk>(?:[^"\\]|\\.){1,300})"'
    rb'|\\"session(?:_id)?\\"\s*:\s*\\"(?P<within>(?:[^"\\]|\\\\.|\\\\\\"){1,300}?)\\"'  # a body that is a JSON string
)
_OWN_ID = re.compile(rb'"id":"[0-9a-f-]{36}"')  # of the record itself, which names nobody


@dataclass(slots=True)
class _File:
    """What the journal holds of one source file; sizes in bytes."""

    path: str | None = None
    records: int = 0
    size_bytes: int = 0
    segments: set[int] = field(default_factory=set)
    sessions: set[str] = field(default_factory=set)  # keys


@dataclass(frozen=True, slots=True)
class _One:
    """A single record that may go by itself: where it stands, its size with its blob, what it is about, whether it speaks of them."""

    record_id: str
    segment: int
    size_bytes: int
    about: tuple[str, ...]
    theirs: bool = False


@dataclass(slots=True)
class Belongings:
    """What of the journal belongs to sessions, as far as it was read.

    Attributes:
        files: every source file by its id; `chosen` are the ids of those that go.
        own: ids of records without a file that go. `noted`: of single ones in places that go on, moves among them.
        records, size_bytes: what goes, blobs and declarations included.
        segments: where all this stands.
        others: keys of other sessions of which files hold something that go.
        untold: how many records without a file stay because it cannot be read whose they are.
        nameless: how many damaged lines of the journal stay because they name nobody.
    """

    files: dict[str, _File] = field(default_factory=dict)
    chosen: set[str] = field(default_factory=set)
    own: set[str] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)
    records: int = 0
    size_bytes: int = 0
    segments: set[int] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    untold: int = 0
    nameless: int = 0

    @property
    def paths(self) -> set[str]:
        """The paths of the source files that go."""
        return {path for name in self.chosen if (path := self.files[name].path) is not None}


class _Theirs:
    """Whether something belongs to the sessions that are to be forgotten, which may be known by their hashes only."""

    def __init__(self, hashes: Hashes, entries: Iterable[Entry]) -> None:
        self.entries = list(entries)
        self._hashes = hashes
        self._sessions = {entry.session for entry in self.entries}
        self._files = {name for entry in self.entries for name in entry.files}
        self._records = {name for entry in self.entries for name in entry.records}
        self._paths = {path for entry in self.entries for path in entry.paths}

    def session(self, key: str) -> bool:
        return self._hashes.session(key) in self._sessions

    def file(self, name: str) -> bool:
        return self._hashes.file(name) in self._files

    def record(self, name: str) -> bool:
        return bool(self._records) and self._hashes.record(name) in self._records

    def path(self, path: str | None) -> str | None:
        """The key of their session that a path names."""
        named = session_named(path or "")
        return f"claude:{named}" if named is not None and self.session(f"claude:{named}") else None

    def listed(self, path: str) -> bool:
        """Whether a path is that of a source file which an earlier run entered."""
        return bool(self._paths) and self._hashes.path(path) in self._paths

    def of_another(self, path: str | None) -> bool:
        """Whether a path names a session that is none of theirs."""
        named = session_named(path or "")
        return named is not None and not self.session(f"claude:{named}")

    def told(self, names: Iterable[tuple[str, str]], files: Container[str]) -> bool:
        """Whether what a line tells names one of them, or one of these files."""
        return any(
            name in files or self.file(name) if sort == "file" else self.session(f"{sort}:{name}")
            for sort, name in names
        )


def tells(line: bytes) -> list[tuple[str, str]]:
    """What a line that is no record names: ids of files, and of sessions of either source."""
    return [
        _named(str(one.lastgroup), one[one.lastindex or 0])
        for one in _TELLING.finditer(_OWN_ID.sub(b"", line, count=1))
    ]


def _named(sort: str, name: bytes) -> tuple[str, str]:
    """A name with its escapes undone."""
    if sort == "within":
        sort, name = "sdk", _unescaped(name).encode("utf-8", "surrogatepass")
    return sort, _unescaped(name) if sort == "sdk" else name.decode()


def _unescaped(name: bytes) -> str:
    try:
        return msgspec.json.decode(b'"' + name + b'"', type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return name.decode("utf-8", "replace")


class _Look:
    """Reads journal segments and sorts out what belongs to sessions."""

    def __init__(self, home: Home, theirs: _Theirs) -> None:
        self._home = home
        self._theirs = theirs
        self._translators = translators()
        self._damaged: list[tuple[int, int, list[tuple[str, str]]]] = []  # segment, bytes, what it names
        self._lines: set[str] = (
            set()
        )  # ids of the sessions' transcript lines and agents, by which others name them
        self._singles: list[tuple[str, _One]] = []  # titles, and lines in files of others; each with its file
        self._metas: list[tuple[str, _One]] = []  # each with the path of the transcript beside it
        self._moves: list[tuple[str, str, _One]] = []
        self._places: tuple[set[str], set[str]] = (set(), set())  # directories of other sessions, of theirs
        self.out = Belongings()

    def run(self, numbers: Iterable[int]) -> Belongings:
        """Read these segments, in order.

        Raises:
            reader.Lost: some of one cannot be decompressed.
        """
        for number in numbers:
            for at, line, _ in reader.every_line(self._home.journal, number):
                if line:
                    self._line(number, at, line)
        self._choose()
        return self.out

    def _line(self, number: int, at: int, line: bytes) -> None:
        try:
            record = fmt.decode(line)
        except (fmt.Damaged, fmt.Newer):
            self._damaged.append((number, len(line), tells(line)))
            return
        if record.s == fmt.SEGMENT_SOURCE or fmt.is_tombstone(record):
            return
        size_bytes = len(line) + (record.f.size if record.f else 0)
        if record.s == FILE_SOURCE:
            self._declared(number, record, size_bytes)
            return
        events = self._events(number, at, record)
        sessions = {event.session for event in events} - {"claude:"}
        one = _One(record.id, number, size_bytes, ())
        if record.s in SHARED_SOURCES and record.p is not None:
            if any(map(self._theirs.session, sessions)) or self._theirs.record(record.id):
                self._singles.append((record.p.file, replace(one, theirs=True)))
            elif not sessions and (thread := codex_hooks.session_of(record.body_bytes() or b"")):
                self._singles.append((record.p.file, replace(one, about=(thread,))))
        elif record.p is not None:
            self._of_file(record.p.file, events, sessions, one)
        else:
            self._by_itself(record, events, sessions, one)
        for event in events:
            self._note(event)

    def _goes(self, number: int, size_bytes: int) -> None:
        self.out.records += 1
        self.out.size_bytes += size_bytes
        self.out.segments.add(number)

    def _file(self, name: str, number: int, size_bytes: int) -> _File:
        file = self.out.files.setdefault(name, _File())
        file.records += 1
        file.size_bytes += size_bytes
        file.segments.add(number)
        return file

    def _declared(self, number: int, record: Record, size_bytes: int) -> None:
        found = declared(record.body_bytes() or b"")
        if found is None:
            return
        file = self._file(found[0], number, size_bytes)
        file.path = found[1]
        if (named := self._theirs.path(found[1])) is not None:
            file.sessions.add(named)

    def _events(self, number: int, at: int, record: Record) -> list[Event]:
        translator = self._translators.get(record.s)
        if translator is None:
            return []
        file = self.out.files.get(record.p.file) if record.p else None
        path, start = file.path if file else None, start_of(record, number, at)
        events = outline.events_of(translator, record, self._home.blobs, path, start)
        if events is None and record.p is None:
            self.out.untold += 1
        return events or []

    def _of_file(self, name: str, events: list[Event], sessions: set[str], one: _One) -> None:
        file = self._file(name, one.segment, one.size_bytes)
        file.sessions |= sessions
        theirs = self._theirs.of_another(file.path) and any(map(self._theirs.session, sessions))
        about = tuple(e.data.about for e in events if isinstance(e.data, SessionNoted) and e.data.about)
        if about or theirs or self._theirs.record(one.record_id):
            self._singles.append((name, _One(one.record_id, one.segment, one.size_bytes, about, theirs)))

    def _by_itself(self, record: Record, events: list[Event], sessions: set[str], one: _One) -> None:
        moved = next((event.data for event in events if isinstance(event.data, WorkspaceMoved)), None)
        path = self._meta_path(record) if record.s in WHOLE_SOURCES else None
        named = self._theirs.path(path)
        if moved is not None:
            self._moves.append((moved.old, moved.new, one))
        elif named is not None or any(map(self._theirs.session, sessions)):
            self._own(one)
        elif path is not None:
            self._metas.append((transcript_beside(path), one))

    def _own(self, one: _One) -> None:
        self.out.own.add(one.record_id)
        self._goes(one.segment, one.size_bytes)

    def _meta_path(self, record: Record) -> str | None:
        return outline.outline(bodies.as_it_is(record, self._home.blobs)).get("path")

    def _note(self, event: Event) -> None:
        """Keep what decides about titles and moves: the lines of their sessions, and where every session was started."""
        theirs = self._theirs.session(event.session)
        if theirs and event.agent:
            self._lines.add(f"{event.session.partition(':')[0]}:{event.agent}")
        if isinstance(event.data, SessionNoted) and event.data.line and theirs:
            self._lines.add(event.data.line)
        if cwd := getattr(event.data, "cwd", None):
            self._places[theirs].add(str(cwd))

    def _choose(self) -> None:
        """Decide about files, then about what depends on them, and single records in those that stay."""
        self._choose_files()
        paths = self.out.paths
        for path, one in self._metas:
            if path in paths or self._theirs.listed(path):
                self._own(one)
        self._choose_singles()
        for number, size_bytes, names in self._damaged:
            if self._theirs.told(names, self.out.chosen):
                self._goes(number, size_bytes)
            elif not names:
                self.out.nameless += 1

    def _choose_files(self) -> None:
        for name, file in self.out.files.items():
            theirs = {key for key in file.sessions if self._theirs.session(key)}
            if (theirs and not self._theirs.of_another(file.path)) or self._theirs.file(name):
                self.out.chosen.add(name)
                self.out.others |= file.sessions - theirs
                self.out.records += file.records
                self.out.size_bytes += file.size_bytes
                self.out.segments |= file.segments

    def _choose_singles(self) -> None:
        for name, one in self._singles:
            if name not in self.out.chosen and (
                one.theirs or self._lines.intersection(one.about) or self._theirs.record(one.record_id)
            ):
                self._single(one)
        others, theirs_ = (_Places(places) for places in self._places)
        for old, new, one in self._moves:
            moves_others, moves_theirs = others.move(old, new), theirs_.move(old, new)
            if (moves_theirs and not moves_others) or self._theirs.record(one.record_id):
                self._single(one)

    def _single(self, one: _One) -> None:
        self.out.noted.add(one.record_id)
        self._goes(one.segment, one.size_bytes)


class _Places:
    """Directories, led through moves of workspaces in their order."""

    def __init__(self, places: set[str]) -> None:
        self._places = set(places)

    def move(self, old: str, new: str) -> bool:
        """Whether the move concerned one of them."""
        base = PurePosixPath(old)
        moved = {place for place in self._places if PurePosixPath(place).is_relative_to(base)}
        self._places |= {str(PurePosixPath(new, PurePosixPath(place).relative_to(base))) for place in moved}
        return bool(moved)


# ── what a person is shown ──


@dataclass(frozen=True, slots=True)
class Session:
    """One session that would be forgotten: its key, how many agents it had, and the ids of forks that stay."""

    key: str
    native: str
    title: str | None
    agents: int
    forks: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be forgotten; `unfinished` is how many forgotten sessions of earlier runs wait to be ended with it."""

    sessions: list[Session]
    unfinished: int
    belongings: Belongings

    @property
    def transcripts(self) -> list[str]:
        """Source files of theirs that stand outside the home, and stay."""
        return sorted(path for path in self.belongings.paths if os.path.exists(path))  # noqa: PTH110 - foreign text


def plan(home: Home, sessions: Iterable[Session]) -> Plan:
    """Look at what belongs to these sessions, and to those that are not wholly forgotten yet; changes nothing.

    Raises:
        RewriteRefused: some of the journal cannot be decompressed.
        StoreError: the system refused to read it.
    """
    wanted, forgotten = list(sessions), home.forgotten()
    entries = [Entry(session=forgotten.hashes.session(one.key)) for one in wanted]
    unfinished = forgotten.unfinished
    with rewriting.told(home, rewriting.UNCHANGED):
        found = _look(home, _Theirs(forgotten.hashes, [*entries, *unfinished]))
    return Plan(wanted, len({one.session for one in unfinished} - {one.session for one in entries}), found)


def _look(home: Home, theirs: _Theirs, numbers: Iterable[int] | None = None) -> Belongings:
    try:
        return _Look(home, theirs).run(segments.numbers(home.journal) if numbers is None else numbers)
    except reader.Lost as exc:
        raise rewriting.unreadable(home.journal, exc) from exc


def described(db: apsw.Connection, session_id: int, key: str, row: dict[str, object]) -> Session:
    """What the store says of a session that is to be forgotten."""
    forks = [
        str(name) for (name,) in db.execute(statements("queries")["forks_of"], {"session_id": session_id})
    ]
    title = row["title"]
    return Session(
        key, str(row["native"]), None if title is None else str(title), int(str(row["agents"])), forks
    )


# ── doing it ──


@dataclass(frozen=True, slots=True)
class Done:
    """What was forgotten.

    Attributes:
        records, size_bytes, files: what went of the journal, blobs included, and of how many source files it was.
        segments: how many were rewritten.
        blob_bytes, copies_bytes: of blobs that nothing names any more; of copies of older stores and leftovers.
        transcripts: source files outside the home that stay.
        anchor: stands for the journal as it is now.
        untold, nameless: how many records and damaged lines stay because it cannot be read whose they are.
    """

    records: int
    size_bytes: int
    files: int
    segments: int
    blob_bytes: int
    copies_bytes: int
    transcripts: list[str]
    anchor: str | None
    untold: int
    nameless: int


def carry_out(home: Home, planned: Plan, report: Callable[[int], None] = lambda _: None) -> Done:
    """Forget what was planned, and what earlier runs did not end.

    Raises:
        StoreBusy: another process imports.
        SegmentHeld: another process holds a segment that must be rewritten, or records for such a session right now.
        StillAlive: an agent that was started here works in one of them; nothing was changed.
        RewriteRefused: sealed history is not what was sealed; nothing was changed.
        SealFailed, StoreError, OSError: the disk refused. What was rewritten stays so; the next run ends it.
    """
    with rewriting.alone(home, _HINT):
        rewriting.seal(home, planned.belongings.segments)
        forgotten = home.forgotten()
        found, theirs = _found_now(home, planned, forgotten)
        if found.segments & set(segments.plain_numbers(home.journal)):  # it came since it was planned
            rewriting.seal(home, found.segments)
            found = _look(home, theirs)
        _refuse_held(home, found, "nothing is forgotten")
        _refuse_alive(home, theirs)
        rewriting.check_sealed(home, found.segments)
        _list(forgotten, found, theirs)
        failpoint("forget.listed")
        made = rewriting.anew(
            home,
            sorted(found.segments),
            lambda number: rewriting.changed(home, number, partial(_changed, found, theirs)),
            WHY,
            report,
            lambda db: _drop_hints(db, home.forgotten()),
        )
        copies_bytes = rewriting.drop_copies(home)
        now = _Theirs(forgotten.hashes, home.forgotten().unfinished)
        still = _look(home, now, segments.plain_numbers(home.journal))
        _refuse_held(home, still, "all else of it is forgotten")
        _drop_resumes(home, planned)
        _drop_runs(home, theirs)
        failpoint("forget.ending")
        _end(home.forgotten())
    return Done(
        found.records,
        found.size_bytes,
        len(found.chosen),
        made.segments,
        made.blob_bytes,
        copies_bytes,
        planned.transcripts,
        verify.anchor(home.journal),
        found.untold,
        found.nameless,
    )


def _runs(home: Home, theirs: _Theirs) -> Iterator[tuple[AgentLook, list[Life]]]:
    """The agents that were started here to work in these sessions, each with its lives that did."""
    run = look.run_directory(home.path)
    for directory in look.agent_directories(run):
        found = look.look(directory)
        lives = [life for life in found.lives if any(map(theirs.session, _worked_in(run, found, life)))]
        if lives:
            yield found, lives


def _worked_in(run: Path, found: AgentLook, life: Life) -> set[str]:
    """The keys of the sessions that a life works in, its own among them."""
    room = look.attempt_directory(run / found.id, life.attempt)
    out = {own_session(found.id), *linked.told(room)}
    if found.spec is not None:
        out.add(tools.session_of(found.spec.session, found.id, life.attempt))
        out.update(linked.said(found.spec.tool, room))
    return out


def _refuse_alive(home: Home, theirs: _Theirs) -> None:
    for found, lives in _runs(home, theirs):
        if any(life.is_alive for life in lives):
            what = f"agent {found.id} works in such a session, and is alive"
            raise StillAlive(what, hint=f"nothing is forgotten; `holdfast stop {found.id}` ends it first")


def _drop_runs(home: Home, theirs: _Theirs) -> None:
    """Remove what lies in `run/` of agents that worked in these sessions; of one that worked in others too, what is of these."""
    run = look.run_directory(home.path)
    for found, lives in list(_runs(home, theirs)):
        whole = len(lives) == len(found.lives)
        places = (
            [run / found.id]
            if whole
            else [look.attempt_directory(run / found.id, life.attempt) for life in lives]
        )
        for place in places:
            shutil.rmtree(place)


def _drop_resumes(home: Home, planned: Plan) -> None:
    """Remove what lies in `run/` of sessions that were resumed."""
    for one in planned.sessions:
        stem = home.path / asking.RUN / file_stem(one.key)
        for ending in (".lock", ".md"):
            stem.with_suffix(ending).unlink(missing_ok=True)


def _found_now(home: Home, planned: Plan, forgotten: Forgotten) -> tuple[Belongings, _Theirs]:
    """What belongs to them now that nobody else imports."""
    known = {entry.session: entry for entry in forgotten.entries}
    wanted = [forgotten.hashes.session(one.key) for one in planned.sessions]
    entries = {name: known.get(name, Entry(session=name)) for name in wanted}
    entries |= {entry.session: entry for entry in forgotten.unfinished}
    theirs = _Theirs(forgotten.hashes, entries.values())
    return _look(home, theirs), theirs


def _refuse_held(home: Home, found: Belongings, done: str) -> None:
    plain = found.segments & set(segments.plain_numbers(home.journal))
    if plain:
        path = segments.path(home.journal, min(plain))
        raise SegmentHeld(f"another process is recording for such a session right now, into {path}", done)


def _list(forgotten: Forgotten, found: Belongings, theirs: _Theirs) -> None:
    """Enter what goes into the list, before it goes."""
    hashes = forgotten.hashes
    listed = {entry.session: entry for entry in forgotten.entries}
    records = {hashes.record(name) for name in found.noted}
    for entry in theirs.entries:
        chosen = {
            name: found.files[name]
            for name in found.chosen
            if len(theirs.entries) == 1
            or any(hashes.session(key) == entry.session for key in found.files[name].sessions)
        }
        paths = {hashes.path(file.path) for file in chosen.values() if file.path is not None}
        files = {hashes.file(name) for name in chosen}
        listed[entry.session] = entry.with_more(paths, records, files)
    forgotten.save(listed.values())


def _end(forgotten: Forgotten) -> None:
    forgotten.save(entry.finished() for entry in forgotten.entries)


def _drop_hints(db: apsw.Connection, forgotten: Forgotten) -> None:
    """Hints about source files are carried into the next store: not those of files that are left out."""
    paths = [path for (path, *_) in db.execute(statements("queries")["hints"]) if forgotten.holds_path(path)]
    db.executemany(statements("fold")["hint_dropped"], [(path,) for path in paths])


def _changed(found: Belongings, theirs: _Theirs, at: int, line: bytes) -> bytes:  # noqa: ARG001 - every change gets it
    """What stands in a line's place."""
    try:
        record = fmt.decode(line)
    except (fmt.Damaged, fmt.Newer):
        return b"" if theirs.told(tells(line), found.chosen) else line
    if fmt.is_tombstone(record):
        return line
    if record.id in found.noted:
        return fmt.tombstone(record, in_place=record.p is not None)
    file = record.p.file if record.p else None
    if record.s == FILE_SOURCE:
        file = (declared(record.body_bytes() or b"") or (None,))[0]
    return fmt.tombstone(record) if record.id in found.own or file in found.chosen else line
