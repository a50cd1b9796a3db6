"""Which text of its definition each agent ran with: what is recorded of agents, files and looks, brought together when somebody asks.

Nothing of it is stored. A definition that is seen for the first time tomorrow, or a look that finds nothing new, makes answers of today surer.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from datetime import UTC
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from holdfast import clock, defining
from holdfast.definitions import effective, tiers, tools, versions
from holdfast.definitions.alarms import Ran, alarms, doubted
from holdfast.definitions.effective import FILE, NOT_FOUND, Effective, Stand, Start
from holdfast.definitions.looking import Looked
from holdfast.definitions.parse import parse
from holdfast.definitions.past import INFERRED, OBSERVED, UNKNOWN, Look, Past, Reached, Revision
from holdfast.definitions.validate import VALID, judge
from holdfast.errors import BlobDamaged, HoldfastError
from holdfast.store import definitions, looks, uses
from holdfast.store.workspaces import Moves
from holdfast.visible import printable_path, visible

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    import apsw

    from holdfast.definitions.findings import Finding
    from holdfast.definitions.parse import Parsed
    from holdfast.home import Home
    from holdfast.store.uses import Given, Life, Use

Json = dict[str, Any]
_TAKEN_OUT = "[REDACTED:"  # of a directory by redaction: what lies in it, its path does not say
_SEVERAL = "several"  # hosts: of which none is asked
_WAIT_MS = 200  # for another process that looks at definitions, before an answer is given without
_LONG_OPEN_US = 12 * 3_600_000_000  # that a session's process may have run before the session's first record
_ONE_LIFE_US = 60_000_000  # after a process began, within which a hook tells of the same one
_MOST_LEFT = 50  # sessions that one process left one after the other
_PROCESS, _CLEAR = "process", "clear"
_NO_ROLE = "it was started without a role, and Codex takes `default` then"
_OLDER = "its process had another session before, when it began is not recorded, and the file held another text once"


class _Began(NamedTuple):
    """When the process of a session began; or the first that is known of it, and how much older it may be (microseconds; None: nobody knows)."""

    us: int | None
    older_us: int | None


@dataclass(frozen=True, slots=True)
class Link:
    """An agent, what it ran with, which file counts today, what is to be told of it, and which version of how many it was, if that was asked."""

    use: Use
    found: Effective
    now: Stand | None
    findings: tuple[Finding, ...]
    version: tuple[int, int] | None = None


class Linking:
    """Answers about many agents; what they share is read once.

    Args:
        home, db: where it is recorded.
        live: looks of this moment, which need not be recorded.
    """

    def __init__(self, home: Home, db: apsw.Connection, live: Iterable[Look] = ()) -> None:
        self._home, self._db = home, db
        self._live: dict[str, list[Look]] = {}
        for look in live:
            self._live.setdefault(look.cwd, []).append(look)
        self._reached: dict[str, tuple[Reached, ...]] = {}
        self._today: dict[tuple[str, str, str], Stand] = {}
        self._directories: dict[str, str] = {}
        self._declared: dict[str, dict[str, str]] = {}  # roles by directory, and the config.toml that says so
        self._numbers: dict[tuple[str, str], dict[str, int]] = {}
        self._by_name: dict[str, list[definitions.Revision]] = {}
        self._revisions: dict[tuple[str, str, str | None], list[Revision]] = {}
        self._parsed: dict[tuple[str, str], Parsed | None] = {}
        self._of_session: dict[int, tuple[list[Life], dict[str, list[Given]]]] = {}
        self._hosts: dict[int, list[str]] = {}
        self._lies_here: dict[int, bool] = {}

    @cached_property
    def _texts(self) -> Any:  # noqa: ANN401 - ledger.Texts
        return defining.ledger_of(self._home).texts

    @cached_property
    def _moves(self) -> Moves:
        return Moves.of(self._db)

    @cached_property
    def _in_plugins(self) -> dict[str, list[str]]:
        return uses.names_in_plugins(self._db)

    def link(self, use: Use, *, at_work: bool = False, goes_on: bool = False) -> Link | None:
        """What an agent ran with; None: it is of no tool whose definitions are known, and no file has its name.

        Args:
            use: the agent.
            at_work: whether it works now.
            goes_on: whether its session does.
        """
        tool = tools.of_source(use.source)
        host = self._other_host(use.session_id)
        revisions = self._recorded(tool, use.name, host)
        if tool == tools.CUSTOM and not revisions and use.told is None:
            return None
        cwd = self._real(use.cwd) if host is None else use.cwd
        past, found = self._found(use, tool, host, cwd)
        if not use.agent:  # the main one
            found = self._of_several(use, tool, host, cwd, found)
        if not use.is_named and found.grade == OBSERVED:
            found = replace(found, grade=INFERRED, rule="no-role", why=_NO_ROLE)
        now = self._now(past, cwd) if host is None else None
        parsed = None if found.revision is None else self._parse(found.revision)
        ran = Ran(at_work, goes_on and self._keeps_texts(tool), use.models, self._tools_of(use, parsed))
        found = doubted(found, tool, ran, parsed)
        return Link(use, found, now, alarms(found, tool, ran, now, parsed))

    def _found(self, use: Use, tool: str, host: str | None, cwd: str | None) -> tuple[Past, Effective]:
        """What is recorded of a name's files, and which text an agent had under it."""
        began = self._began(use.session_id, use.started_us, use.session_us)
        past = self._past(tool, use.name, host, cwd, (use.started_us, began.us))
        where = None if cwd is not None and _TAKEN_OUT in cwd and not past.looks else cwd
        start = Start(where, use.started_us, began.us, use.built_in, self._given(use, began), use.told)
        found = effective.effective(past, start)
        if found.origin == FILE:
            found = self._process_unknown(past, began, found)
        if host is None:
            found = self._maybe_elsewhere(use.session_id, found)
        if host is None and tool == tools.CODEX and cwd is not None:
            found = self._declared_too(use.name, cwd, found)
        return past, found

    def _of_several(
        self, use: Use, tool: str, host: str | None, cwd: str | None, found: Effective
    ) -> Effective:
        """The same of a main agent, if it had one name all the time; else each text that it had under one of them."""
        names = uses.names_of_main(self._db, use.session_id)
        if len(names) < 2:
            return found
        every = [self._found(use._replace(name=name), tool, host, cwd)[1] for name in names]
        texts = [text for one in every for text in (one.revision, *one.either) if text is not None]
        either = tuple({text.sha256: text for text in texts}.values())
        why = f"it was started under several names, one after the other: {visible(', '.join(names))}"
        return Effective(FILE if either else NOT_FOUND, UNKNOWN, "several-names", why, either=either)

    def _began(self, session: int, at_us: int | None, first_us: int | None, most: int = _MOST_LEFT) -> _Began:
        """When the process began that a session ran in at a moment.

        Args:
            session: in the store.
            at_us: the moment; None: unknown.
            first_us: the session's first record.
            most: how many sessions it may have left one after the other.
        """
        every = self._session(session)[0]
        lives = [one for one in every if at_us is None or one.us <= at_us or one.sign == _CLEAR]
        seen_us = max((one.us for one in lives if one.sign == _PROCESS), default=None)
        told = lives[-1] if lives and lives[-1].sign != _PROCESS else None
        if seen_us is not None and (told is None or told.sign == _CLEAR or told.us <= seen_us + _ONE_LIFE_US):
            return _Began(seen_us, 0)
        if told is None:
            return _Began(first_us, _LONG_OPEN_US)
        left = uses.left_for(self._db, session, told.us) if most else None
        if left is not None:
            return self._began(left[0], told.us, left[1], most - 1)
        return _Began(first_us, None) if told.sign == _CLEAR else _Began(told.us, _LONG_OPEN_US)

    def _given(self, use: Use, began: _Began) -> str | None:
        """SHA-256 of what the process that an agent started in was given under its name; None: nothing is known."""
        at_us, life_us = use.started_us, began.us
        if at_us is None or life_us is None:
            return None
        for one in reversed(self._session(use.session_id)[1].get(use.name, ())):
            is_over = one.until_us is not None and one.until_us < at_us
            if not is_over and one.from_us <= at_us and life_us <= one.from_us + _ONE_LIFE_US:
                return hashlib.sha256(one.text.encode()).hexdigest()
        return None

    def _other_host(self, session: int) -> str | None:
        """The other home's host on which a session ran, as its processes say; None: it ran here, or that is not recorded."""
        if session not in self._hosts:
            self._hosts[session] = uses.hosts(self._db, session)
        found = self._hosts[session]
        return None if not found or self._home.host_id in found else _SEVERAL if found[1:] else found[0]

    def _maybe_elsewhere(self, session: int, found: Effective) -> Effective:
        """The same, less sure, where the session may have run on another machine, on which other texts lay."""
        if found.origin != FILE or found.grade != OBSERVED or self._hosts[session] == [self._home.host_id]:
            return found
        if session not in self._lies_here:
            paths = uses.transcripts(self._db, session)
            self._lies_here[session] = not self._hosts[session] and any(map(os.path.exists, paths))
        if self._lies_here[session]:
            return found
        why = (
            "it ran on another machine too"
            if self._hosts[session]
            else "its transcript is not on this machine, so it may have run on another one"
        )
        return replace(found, grade=INFERRED, rule="maybe-elsewhere", why=why)

    def _now(self, past: Past, cwd: str | None) -> Stand | None:
        """Which file counts today, seen from a directory that was looked from."""
        if cwd is None or cwd not in self._live:
            return None
        key = (past.tool, past.name, cwd)
        if key not in self._today:
            self._today[key] = effective.stands(past, cwd, self._home.now_us())
        return self._today[key]

    def _keeps_texts(self, tool: str) -> bool:
        """Whether a session of a tool goes on with the texts that it has."""
        reads = tools.TOOLS[tool].reads_on(clock.date_in(self._home.now_us(), UTC))
        return reads is not None and reads.when == tools.AT_SESSION

    def _real(self, cwd: str | None) -> str | None:
        if cwd is None:
            return None
        if cwd not in self._directories:
            self._directories[cwd] = real(cwd)
        return self._directories[cwd]

    def _process_unknown(self, past: Past, began: _Began, found: Effective) -> Effective:
        """The same, less sure, where the file changed while the session's process may have run already."""
        if found.grade != OBSERVED or began.us is None or began.older_us == 0:
            return found
        lays = [lay for file in past.files for lay in file.lays]
        if began.older_us is None:
            before = [lay.revision for lay in lays if lay.revision is not None and lay.seen_us <= began.us]
            others = {one.sha256: one for one in before if one.sha256 != found.sha256}
            if others:
                either = tuple(others.values())
                return replace(found, grade=INFERRED, rule="process-begin", why=_OLDER, either=either)
        moments = [lay.seen_us if lay.changed_us is None else lay.changed_us for lay in lays]
        if not any(began.us - _LONG_OPEN_US < us <= began.us for us in moments):
            return found
        why = "the file changed shortly before the first record of the session, and when its process began is not recorded"
        return replace(found, grade=INFERRED, rule="process-begin", why=why)

    def _declared_too(self, name: str, cwd: str, found: Effective) -> Effective:
        """The same, less sure, where a config.toml declares a role of this name today: what it said then is not recorded."""
        if (found.grade, found.origin) not in {(OBSERVED, FILE), (UNKNOWN, NOT_FOUND)}:
            return found
        if cwd not in self._declared:
            self._declared[cwd] = declared(self._home, cwd)
        path = self._declared[cwd].get(name)
        if path is None:
            return found
        if found.origin == FILE:
            return replace(found, grade=INFERRED, rule="declared", why=tiers.declared_too(path))
        why = f"{printable_path(path)} declares a role of this name; what it says is not recorded"
        return replace(found, rule="declared", why=why)

    def _past(
        self, tool: str, name: str, host: str | None, cwd: str | None, moments: Iterable[int | None]
    ) -> Past:
        known = [] if cwd is None else self._looks(host, cwd, [us for us in moments if us is not None])
        live = self._live.get(cwd or "", ()) if host is None else ()
        return Past(tool, name, self._recorded(tool, name, host), [*known, *live])

    def _looks(self, host: str | None, cwd: str, moments: list[int]) -> list[Look]:
        """Looks from a directory about moments, also from where it lay before; all paths as they are called today. Of another home: as they were called."""
        out = []
        for place in [cwd] if host is not None else self._moves.once(cwd):
            for one in looks.about(self._db, host, place, moments):
                roots = self._roots(one.reach)
                if host is None and self._moves.now(place, one.to_us) != cwd:
                    continue
                if place != cwd:
                    roots = tuple(replace(root, path=self._today_at(root.path, one.to_us)) for root in roots)
                out.append(Look(cwd, one.from_us, one.to_us, roots))
        return out

    def _today_at(self, path: str, at_us: int) -> str:
        return self._moves.now(path, at_us) or path

    def version(self, one: Revision) -> tuple[int, int] | None:
        """Which version of its name a text is, as `definitions history` counts, and of how many; None: not known."""
        key = (one.tool, one.name)
        if key not in self._numbers:
            rows = definitions.of_files_of(self._db, one.name, one.tool)
            self._numbers[key] = versions.by_revision(versions.of_name(rows, one.name))
        numbers = self._numbers[key]
        return (numbers[one.id], max(numbers.values())) if one.id in numbers else None

    def _roots(self, reach: str) -> tuple[Reached, ...]:
        if reach not in self._reached:
            self._reached[reach] = tuple(_reached(root) for root in looks.reached(self._db, reach))
        return self._reached[reach]

    def expect(self, names: Iterable[str]) -> None:
        """Read at once what is recorded of many names."""
        every = {each for name in names for each in (name, *self._in_plugins.get(name, ()))}
        if missing := every - self._by_name.keys():
            self._by_name |= definitions.of_names(self._db, sorted(missing))

    def _recorded(self, tool: str, name: str, host: str | None) -> list[Revision]:
        """Every revision of the files of a home (None: this one) that ever had a name, or are a plugin's with that plain name."""
        key = (tool, name, host)
        if key not in self._revisions:
            self.expect([name])
            names = [name, *(self._in_plugins.get(name, ()) if tool == tools.CLAUDE else ())]
            every = (one for each in names for one in self._by_name[each])
            found = {one.id: one for one in every if (one.tool, one.host) == (tool, host)}.values()
            led = _led(found, self._moves) if host is None else found
            self._revisions[key] = [self._revision(one) for one in led]
        return self._revisions[key]

    def _revision(self, one: definitions.Revision) -> Revision:
        out = Revision(
            id=one.id,
            seen_us=one.time_us,
            tool=one.tool,
            name=one.name,
            tier=one.tier or tools.PROJECT,
            root=one.root or "",
            path=one.path,
            sha256=one.sha256,
            changed_us=one.changed_us,
            size_bytes=one.size_bytes,
            validity=one.validity,
            own=one.own,
            path_before=one.path_before,
            name_before=one.name_before,
        )
        if one.sha256 is None or one.validity == VALID or one.tool == tools.CUSTOM:
            return out
        parsed = self._parse(out)
        return replace(out, loads=None if parsed is None else self._loads(out, parsed))

    def _loads(self, one: Revision, parsed: Parsed) -> bool | None:
        stem = one.path.rpartition("/")[2].rpartition(".")[0]
        in_plugin = one.tier == tools.PLUGIN
        size = one.size_bytes or 0
        return judge(parsed, tools.TOOLS[one.tool], stem=stem, size_bytes=size, in_plugin=in_plugin).loads

    def _parse(self, one: Revision) -> Parsed | None:
        """What a text says; None: it is not kept."""
        assert one.sha256 is not None
        suffix = os.path.splitext(one.path)[1].lower()  # noqa: PTH122 - printable text of any path
        key = (one.sha256, suffix)
        if key not in self._parsed:
            tool = tools.TOOLS[one.tool]
            try:
                content = self._texts.get(one.sha256)
            except (BlobDamaged, OSError):
                self._parsed[key] = None
            else:
                self._parsed[key] = parse(content, suffix, tool.body_key) if suffix in tool.suffixes else None
        return self._parsed[key]

    def _session(self, session: int) -> tuple[list[Life], dict[str, list[Given]]]:
        if session not in self._of_session:
            self._of_session[session] = uses.lives(self._db, session), uses.given(self._db, session)
        return self._of_session[session]

    def _tools_of(self, use: Use, parsed: Parsed | None) -> frozenset[str]:
        """Tools that an agent used, if its text says something of tools."""
        if parsed is None or (parsed.tools is None and "disallowedTools" not in parsed.fields):
            return frozenset()
        return frozenset(uses.tools_used(self._db, use.session_id, use.agent))


def _led(revisions: Iterable[definitions.Revision], moves: Moves) -> list[definitions.Revision]:
    """Revisions with their paths as they are called today. That a file was gone which lay at its new place already is the move, and no change."""
    out: list[definitions.Revision] = []
    there = set()
    for one in revisions:
        if one.sha256 is not None:
            there.add(one.path)
        path = moves.now(one.path, one.time_us) or one.path
        before, root = moves.now(one.path_before, one.time_us), moves.now(one.root, one.time_us)
        if one.sha256 is None and path != one.path and path in there:
            continue
        out.append(one._replace(path=path, path_before=before, root=root))
    return out


def _reached(root: Json) -> Reached:
    return Reached(root["tool"], root["tier"], root["path"], root.get("counts", True), root.get("seen", True))


def real(path: str) -> str:
    """A directory as looks name it: without links, where it is there."""
    try:
        return os.path.realpath(path) if path.startswith("/") else path
    except ValueError:  # no system has a directory called so: a NUL, or what is no text
        return path


def declared(home: Home, cwd: str) -> dict[str, str]:
    """The roles that a config.toml of Codex declares today for a directory, and which one does; none, where that cannot be told."""
    if home.is_sample:
        return {}
    try:
        return defining.roots_from(home, [cwd])[cwd].declared
    except (HoldfastError, OSError):
        return {}


def look(home: Home, directories: Iterable[str | None]) -> Looked:
    """Look at definitions from directories, or the nearest above that is there, and record what changed. Where that cannot be done now, nothing was looked at."""
    asked = dict.fromkeys(real(path) for path in directories if path is not None and path.startswith("/"))
    there = [path for path in asked if os.path.isdir(path)]  # noqa: PTH112
    above = {_above(path) for path in asked.keys() - there} - {*there}
    if not asked or home.is_sample:
        return Looked()
    try:
        return defining.look(home, there, above=sorted(above), wait_ms=_WAIT_MS)
    except (HoldfastError, OSError):  # what keeps it from being recorded is no reason not to answer
        return Looked()


def _above(path: str) -> str:
    """The nearest directory above one that is gone: what lies elsewhere can still be told."""
    while not os.path.isdir(path):  # noqa: PTH112
        path = os.path.dirname(path)  # noqa: PTH120
    return real(path)


def of_session(
    home: Home,
    db: apsw.Connection,
    session: int,
    live: Iterable[Look] = (),
    *,
    at_work: Collection[str] = (),
    goes_on: bool = False,
) -> dict[str, Link]:
    """What each agent of a session ran with, by agent.

    Args:
        home: where it is recorded.
        db: its store.
        session: in the store.
        live: looks of this moment.
        at_work: agents that are, by their ids.
        goes_on: whether the session is at work.
    """
    linking, out, found = Linking(home, db, live), {}, uses.of_session(db, session)
    linking.expect(use.name for use in found)
    for use in found:
        link = linking.link(use, at_work=use.agent in at_work, goes_on=goes_on)
        if link is not None:
            text = link.found.revision
            out[use.agent] = link if text is None else replace(link, version=linking.version(text))
    return out


# ── as the JSON answers have it ──


def answer(link: Link) -> Json:
    """One agent's definition."""
    found = link.found
    return {
        "tool": tools.of_source(link.use.source),
        "name": link.use.name,
        "origin": found.origin,
        "grade": found.grade,
        "rule": found.rule,
        "why": found.why,
        "tier": found.tier,
        "sha256": found.sha256,
        "revision": None if found.revision is None else revision(found.revision),
        "version": None if link.version is None else link.version[0],
        "versions": None if link.version is None else link.version[1],
        "shadowed": [revision(one) for one in found.shadowed],
        "either": [revision(one) for one in found.either],
        "findings": told(link),
    }


def told(link: Link) -> list[Json]:
    """What is to be told of it."""
    return [
        {"level": one.level, "code": one.code, "line": one.line, "text": one.text, "hint": one.hint or None}
        for one in link.findings
    ]


def revision(one: Revision) -> Json:
    """A text of a definition, and where it lay."""
    return {
        "id": one.id,
        "sha256": one.sha256,
        "tier": one.tier,
        "path": one.path,
        "size_bytes": one.size_bytes,
        "validity": one.validity,
        "seen_at": clock.iso(one.seen_us),
        "changed_at": clock.iso(one.changed_us),
    }
