"""What would be started to resume a session, and why it may be, or may not. Nothing here starts or records anything."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast.capture import codex_files
from holdfast.errors import ResumeError, StillAlive
from holdfast.recover import claim, handover, resume, survey
from holdfast.recover.packet import BUDGET_TOKENS
from holdfast.store import asking, queries, state
from holdfast.store.activity import seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import apsw

    from holdfast.home import Home
    from holdfast.recover.claim import Told
    from holdfast.recover.resume import Command

Json = dict[str, Any]
_US = 1_000_000
_DEAD_FOR_SURE: Final = (
    "nothing was started; if you know that it is dead: `holdfast --stale-after-s 0 recover resume ID`"
)
_VARIABLES: Final = {
    "claude": ("CLAUDE_CONFIG_DIR", "claude_config_dir"),
    "codex": ("CODEX_HOME", "codex_home"),
}
_PROGRAMS: Final = {"claude": "claude_program", "codex": "codex_program"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for.

    Attributes:
        session: its id, or how that begins.
        fork: go on as a session of its own.
        packet: tell it what was cut, and what is handed over.
        terminal: a person sits before it.
        more: arguments for its tool.
    """

    session: str
    fork: bool = False
    packet: bool = True
    terminal: bool = False
    more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be started, and why it may be.

    Attributes:
        key, row: of the session.
        directory: where.
        start: what.
        program: the file that is started; None: there is none of that name.
        environment: what the tool is told beyond the environment of this process.
        files: beside which the claim lies.
        packet: what the session is told.
        seen: what the claim's file said before it was looked whether the session is dead.
        new_session: the id that a fork would get, where its tool lets that be chosen.
    """

    key: str
    row: int
    directory: str
    start: Command
    program: str | None
    environment: dict[str, str]
    files: Path
    packet: str | None
    seen: Told
    new_session: str

    @property
    def source(self) -> str:
        return self.key.partition(":")[0]

    @property
    def session(self) -> str:
        """Its native id."""
        return self.key.partition(":")[2]


def plan(home: Home, wish: Wish, new_session: str | None = None) -> Plan:
    """What would be started for a session. Starts and records nothing.

    Args:
        home: where it is recorded, caught up.
        wish: what is asked for.
        new_session: the id of a fork; by default a new one.

    Raises:
        NotFound, AmbiguousId: it is no session's id, or fits several.
        ResumeError: its source is not known, or its directory or its transcript is gone.
        StillAlive: it is at work, or was a moment ago and nothing tells of its process.
    """
    db = home.reader()
    try:
        row = queries.session_id(db, wish.session)
        key = queries.session_origin(db, row)[0]
        files = home.path / asking.RUN / resume.file_stem(key)
        seen = claim.told(files.with_suffix(".lock"))
        stands = survey_of(home, db, row)
        _refuse_alive(home, db, row)
        packet = resume.prompt(stands, packet_text(home, db, row)) if wish.packet else None
    finally:
        db.close()
    settings = home.settings
    source, _, session = key.partition(":")
    directory = stands["session"]["workspace"]
    new_session = new_session or str(uuid.uuid4())
    asked = resume.Asked(
        source,
        session,
        directory or "",
        wish.terminal,
        packet,
        files.with_suffix(".md"),
        wish.fork,
        new_session,
        wish.more,
        resume.carry_on(source, session, home.path / asking.RUN),
    )
    programs = {name: getattr(settings, setting) for name, setting in _PROGRAMS.items()}
    start = resume.command(asked, programs, settings.resume_commands)
    _refuse_lost(home, key, directory)
    return Plan(
        key,
        row,
        directory,
        start,
        _found(start.argv[0]),
        _environment(home, source),
        files,
        packet,
        seen,
        new_session,
    )


def survey_of(home: Home, db: apsw.Connection, row: int) -> Json:
    """Where a session stands, with its agents and the calls that came to no end."""
    now = survey.Now.here(home.now_us(), int(home.settings.stale_after_s * _US))
    return survey.session(db, row, now, home.vitals())


def packet_text(home: Home, db: apsw.Connection, row: int) -> str:
    """What is handed over to whoever goes on with a session."""
    now = survey.Now.here(home.now_us(), int(home.settings.stale_after_s * _US))
    return handover.of_session(
        db, home.recall(), home.cleaned, row, now, home.vitals(), home.path / asking.RUN, BUDGET_TOKENS
    ).markdown


def _refuse_alive(home: Home, db: apsw.Connection, row: int) -> None:
    """Look at its process now, not at what was recorded of it."""
    [found] = queries.session_rows(db, row, vitals=home.vitals())
    vital, native = found["vital"], found["native"]
    if vital is not None and vital.process == "alive":
        raise StillAlive(
            f"session {native} is alive: {vital.why}",
            hint="nothing was started; go on where it runs, or end it there first",
        )
    if vital is not None and vital.process == "unseen" and home.settings.stale_after_s > 0:
        raise StillAlive(f"session {native} may be alive: {vital.why}", hint=_DEAD_FOR_SURE)
    standing, _ = state.of_session(found, home.now_us(), int(home.settings.stale_after_s * _US))
    if seen(vital) is None and standing.state in {"working", "waiting"}:
        raise StillAlive(
            f"session {native} may be alive: {standing.why}, and nothing tells of its process",
            hint=_DEAD_FOR_SURE,
        )


def _refuse_lost(home: Home, key: str, directory: str | None) -> None:
    """Refuse what cannot be gone on with: without its directory, or its transcript."""
    source, _, session = key.partition(":")
    if directory is None:
        raise ResumeError(
            f"where session {session} worked is not recorded", hint="nothing was started; its tool may know"
        )
    if not Path(directory).is_dir():
        raise ResumeError(
            f"{directory}, where session {session} worked, is not there",
            hint="nothing was started; if it lies elsewhere now: `holdfast workspace move OLD NEW`",
        )
    if source in _TRANSCRIPTS and source not in home.settings.resume_commands:
        place = getattr(home.settings, _VARIABLES[source][1])
        if not any(_TRANSCRIPTS[source](place, session)):
            raise ResumeError(
                f"the transcript of session {session} is not below {place} any more",
                hint=f"`holdfast restore session {shlex.quote(session)}` writes it back as it was recorded; then run this again",
            )


def _claude_transcripts(place: Path, session: str) -> Iterator[bool]:
    with contextlib.suppress(OSError):
        for project in (place / "projects").iterdir():
            yield (project / f"{session}.jsonl").is_file()


def _codex_rollouts(place: Path, session: str) -> Iterator[bool]:
    for below in (codex_files.SESSIONS, codex_files.ARCHIVED):
        for _, _, names in os.walk(place / below):
            for name in names:
                rollout = codex_files.rollout_named(name)
                yield rollout is not None and rollout.thread == session


_TRANSCRIPTS: Final[dict[str, Callable[[Path, str], Iterator[bool]]]] = {
    "claude": _claude_transcripts,
    "codex": _codex_rollouts,
}


def _found(program: str) -> str | None:
    """The file that a program's name, or its path, stands for; None: there is none that can be started."""
    given = os.path.expanduser(program)  # noqa: PTH111 - a name in PATH is no path
    found = shutil.which(given)
    return None if found is None else os.path.abspath(found)  # noqa: PTH100 - links stay: some programs look at their name


def _environment(home: Home, source: str) -> dict[str, str]:
    """Where the tool keeps its files, if that was said: said to a tool, its own default means more than not saying it."""
    if source not in _VARIABLES:
        return {}
    variable, setting = _VARIABLES[source]
    if home.settings.origin(setting) == "default":
        return {}
    return {variable: os.fspath(getattr(home.settings, setting))}


def shell_line(home: Home, planned: Plan) -> str:
    """What a person would type in place of the command."""
    settings = home.settings
    ours = ["holdfast"]
    if settings.origin("home") != "default":
        ours += ["--home", os.fspath(settings.home)]
    told = f'"$({shlex.join([*ours, "handoff", planned.session])})"'
    return resume.shell_line(planned.start, planned.directory, planned.environment, told)


def last_attempt(home: Home, name: str) -> Json | None:
    """The last attempt to resume a session, as `queries.resumes` gives it; None: there was none."""
    db = home.reader()
    try:
        return next(reversed(queries.resumes(db, queries.session_id(db, name))), None)
    finally:
        db.close()


def refuse_programless(home: Home, planned: Plan, wish: Wish) -> None:
    """Refuse what cannot be started. Raises ResumeError, which says what a person would type."""
    if planned.program is not None:
        return
    name = planned.start.argv[0]
    typed = plan(home, Wish(wish.session, wish.fork, wish.packet, terminal=True, more=wish.more))
    where = f"the setting {_PROGRAMS[planned.source]}" if planned.source in _PROGRAMS else "resume_commands"
    raise ResumeError(
        f"{name}: there is no such program" + ("" if "/" in name else " in PATH"),
        hint=f"nothing was started; {where} can name its path. To type yourself where it is known: {shell_line(home, typed)}",
    )
