"""Resume a session: claim it, look whether it is dead, say what will be done, start its tool, and see whether it works.

What is done, and what a death of this process leaves, at each step:

1. The session is claimed (`recover/claim.py`). The kernel takes the claim back from a process that died.
2. What is new is recorded, and liveness is looked at again. A session that is alive is refused.
3. An event says that the session is about to be resumed. From here on, a death leaves an attempt whose outcome is not recorded.
4. The tool is started. It writes its own name into the claim before it becomes the tool, so the next one knows of it.
5. What is recorded is watched until some work of the session shows, or the limit has passed, or the tool has ended; an event says which.
   The tool is never killed.
6. The claim is held until the tool's process has ended; only a silent one that no person sits before is left to itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from holdfast import clock, door, news, processes, resuming
from holdfast.errors import HoldfastError, ResumeError
from holdfast.failpoints import failpoint
from holdfast.home import translators
from holdfast.ids import uuid7
from holdfast.recover import claim, resume
from holdfast.store import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holdfast.home import Home
    from holdfast.recover.claim import Claim
    from holdfast.recover.resume import Sign, Watched
    from holdfast.resuming import Plan, Wish

Json = dict[str, Any]
_LOOK_GAP_S = 0.2  # between two looks at what was recorded
_MOST_GAP_S = 2.0
_SHARE = 0.1  # of the time, at most, for looking
_left: list[subprocess.Popen[bytes]] = []  # to themselves, so that nobody waits for them


@dataclass(slots=True)
class Outcome:
    """How it went.

    Attributes:
        attempt: the id of the event that announced it.
        pid: of the tool.
        resumed: the session works again, and `sign` is the event that shows it, where one does.
        reason: exited, elsewhere or silent; None: it works.
        why: that in words.
        new_session: the native id of what goes on; None: not known.
        exit_code: of the tool, negative for a signal; None: it runs.
    """

    plan: Plan
    attempt: str
    pid: int
    resumed: bool = False
    reason: str | None = None
    why: str = ""
    sign: str | None = None
    new_session: str | None = None
    exit_code: int | None = None
    untold: list[str] = field(default_factory=list)


def carry_out(
    home: Home,
    wish: Wish,
    *,
    stdout: int | None = None,
    note: Callable[[str], object] = lambda _: None,
    now_s: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Resume a session, and see whether it works.

    Args:
        home: where it is recorded, caught up.
        wish: what is asked for.
        stdout: where the tool writes its output; None: where this process does.
        note: told what is worth a word meanwhile.
        now_s: a clock that never goes back, for the limit.

    Raises:
        As `plan`; and
        ResumeRefused: another process resumes it, or did since.
        ResumeError: its program is not there, or cannot be started.
        AppendFailed: that it is about to be resumed cannot be recorded. Nothing was started.
    """
    first = resuming.plan(home, wish)
    resuming.refuse_programless(home, first, wish)
    failpoint("resume.looked")
    with claim.claimed(first.files.with_suffix(".lock"), uuid7(), first.seen) as mine:
        failpoint("resume.claimed")
        report = home.catch_up()
        planned = resuming.plan(home, wish, first.new_session)
        life = _Life(home, planned, mine, hooks_count=report.done and not report.busy)
        return life.run(wish, stdout, note, now_s)


class _Verdict(NamedTuple):
    """What showed; `reason` None: the session works."""

    reason: str | None
    why: str
    sign: str | None = None


class _Life:
    """One new life of a session, from its announcement to its end.

    Args:
        home: where it is recorded.
        planned: what is started.
        mine: the claim.
        hooks_count: all that hooks left before is recorded.
    """

    def __init__(self, home: Home, planned: Plan, mine: Claim, *, hooks_count: bool) -> None:
        self._home = home
        self._plan = planned
        self._mine = mine
        self._hooks_count = hooks_count
        db = home.reader()
        try:
            known = queries.keys(db)
            self._from_turn = queries.last_turn(db, planned.row)
            files: Any = db.execute("SELECT id, path FROM source_file")
            paths = dict(files)
        finally:
            db.close()
        self._known = known
        chars = home.settings.head_size_chars
        self._news = news.Subscription(home.journal, home.blobs, translators(), paths, chars)
        self._news.from_now()
        self._unseen: str | None = None  # why what is new cannot be recorded

    def run(
        self, wish: Wish, stdout: int | None, note: Callable[[str], object], now_s: Callable[[], float]
    ) -> Outcome:
        attempt = self._announce(wish)
        failpoint("resume.intended")
        since_us = clock.now_us()
        watched = resume.Watched(
            self._plan.key,
            self._plan.start.new_session,
            since_us,
            self._known.__contains__,
            hooks_count=self._hooks_count,
        )
        with self._at_terminal(wish.terminal), contextlib.ExitStack() as files:
            process = self._start(attempt, stdout, files)
            failpoint("resume.started")
            out = Outcome(self._plan, attempt, process.pid)
            verdict = self._watch(process, watched, wish, now_s)
            failpoint("resume.working")
            self._conclude(out, watched, verdict, process.poll())
            failpoint("resume.told")
            if out.resumed and not wish.terminal:  # there, the tool has the screen
                note(f"session {out.new_session} works again: {out.why}")
            if out.resumed or wish.terminal:
                self._look_once_more(out, watched, process.wait())
            else:
                _left.append(process)
            out.exit_code = process.poll()
        return out

    def _announce(self, wish: Wish) -> str:
        pid, ticks, boot = processes.mine()
        return self._record(
            "session.resuming",
            fork=wish.fork,
            new_session=self._plan.start.new_session,
            directory=self._plan.directory,
            command=self._plan.start.without_prompt,
            limit_s=self._home.settings.resume_limit_s,
            pid=pid,
            boot_id=boot,
            start_ticks=ticks,
        )

    def _record(self, kind: str, **fields: Any) -> str:  # noqa: ANN401 - each kind has its own
        body = {"kind": kind, "time": clock.now_us(), "fields": {"about": self._plan.key, **fields}}
        record_id = door.append(body, durable=True, strict=True, home=os.fspath(self._home.path))
        door.close()
        return record_id

    @contextlib.contextmanager
    def _at_terminal(self, terminal: bool) -> Iterator[None]:  # noqa: FBT001
        """What a person types at a terminal is for the tool; so is an interrupt."""
        if not terminal:
            yield
            return
        before = signal.signal(signal.SIGINT, lambda *_: None)  # unlike an ignored signal, it ends with exec
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    # ── start ──

    def _start(
        self, attempt: str, stdout: int | None, files: contextlib.ExitStack
    ) -> subprocess.Popen[bytes]:
        planned = self._plan
        assert planned.program is not None, "it was looked for"
        try:
            self._leave_packet(files)
            return subprocess.Popen(
                [planned.program, *planned.start.argv[1:]],
                cwd=planned.directory,
                env=os.environ | planned.environment,
                stdin=self._input(files),
                stdout=stdout,
                preexec_fn=self._mine.tell_started,  # noqa: PLW1509 - no other thread runs here, and it only writes a line
            )
        except (OSError, subprocess.SubprocessError) as exc:
            why = f"{planned.program} cannot be started: {exc}"
            self._record("session.resume_failed", attempt=attempt, reason="not_started", why=why)
            raise ResumeError(why, hint="nothing was started; repair it, then run this again") from exc

    def _leave_packet(self, files: contextlib.ExitStack) -> None:
        """Write what a user's own command reads from a file; it is there as long as that runs."""
        templates = self._home.settings.resume_commands
        if resume.wants_packet_file(self._plan.source, templates):
            path = self._plan.files.with_suffix(".md")
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            files.callback(path.unlink, missing_ok=True)
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.write(self._plan.packet or "")

    def _input(self, files: contextlib.ExitStack) -> int | None:
        """What the tool reads: a file without a name, which nobody has to stay alive for."""
        text = self._plan.start.stdin
        if text is None:
            return None
        file = files.enter_context(tempfile.TemporaryFile(dir=self._plan.files.parent))  # noqa: SIM115 - it is one
        file.write(text.encode("utf-8", "replace"))
        file.seek(0)
        return file.fileno()

    # ── watch ──

    def _watch(
        self, process: subprocess.Popen[bytes], watched: Watched, wish: Wish, now_s: Callable[[], float]
    ) -> _Verdict:
        """Look at what is recorded until it says whether the session works."""
        limit_s = self._home.settings.resume_limit_s
        until_s = now_s() + limit_s
        bare = wish.terminal and self._plan.packet is None  # it has nothing to do until a person says so
        while True:
            code = process.poll()  # before the look, which then sees all that it wrote
            looked_s = self._look(watched)
            found = watched.sign or (self._alive(watched) if bare and code is None else None)
            if found is not None:
                return _Verdict(None, found.why, found.event)
            if code is not None:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                return self._elsewhere(watched) or _Verdict(
                    "exited", f"its tool ended ({how}) before it did any work"
                )
            if now_s() >= until_s:
                why = f"it did no work within {limit_s:g} s"
                return self._elsewhere(watched) or _Verdict("silent", why + self._blind())
            gap_s = min(max(_LOOK_GAP_S, looked_s / _SHARE), _MOST_GAP_S, max(0.0, until_s - now_s()) + 0.01)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(gap_s)

    def _look(self, watched: Watched) -> float:
        """Record what is new, and take it in; how many seconds that took."""
        began_s = time.monotonic()
        try:
            self._home.catch_up(wait_ms=0, defer=True)
            watched.add((one.received_us, one.event) for one in self._news.poll())
            self._unseen = None
        except (HoldfastError, OSError, apsw.Error) as exc:
            self._unseen = str(exc)
        return time.monotonic() - began_s

    def _alive(self, watched: Watched) -> Sign | None:
        """That its tool lists it, where nothing more can be expected yet."""
        if watched.expected is None:
            return None
        vital = self._home.vitals()(watched.expected, None, ())
        if vital is not None and vital.process == "alive":
            return resume.Sign("", watched.expected.partition(":")[2], vital.why)
        return None

    def _elsewhere(self, watched: Watched) -> _Verdict | None:
        other = watched.elsewhere(self._plan.directory)
        return None if other is None else _Verdict("elsewhere", f"session {other} began there instead")

    def _blind(self) -> str:
        return "" if self._unseen is None else f"; what is new could not be recorded: {self._unseen}"

    # ── conclude ──

    def _conclude(self, out: Outcome, watched: Watched, verdict: _Verdict, code: int | None) -> None:
        """Say in the journal what showed."""
        out.resumed, out.reason, out.why = verdict.reason is None, verdict.reason, verdict.why
        out.sign = verdict.sign or None
        told: Json = {"attempt": out.attempt, "pid": out.pid, "why": out.why}
        kind = "session.resumed"
        if out.resumed:
            out.new_session = None if watched.expected is None else watched.expected.partition(":")[2]
            told |= {"new_session": out.new_session, "sign": out.sign}
            told |= {"turn": watched.turn, "from_turn": self._from_turn} if watched.turn else {}
        else:
            kind = "session.resume_failed"
            told |= {"reason": out.reason, "exit_code": code}
        try:
            self._record(kind, **told)
        except HoldfastError as exc:
            out.untold.append(str(exc))

    def _look_once_more(self, out: Outcome, watched: Watched, code: int | None) -> None:
        """What came later counts more: that it works after all, and which turn it went on with."""
        had_turn = watched.turn is not None
        self._look(watched)
        sign = watched.sign
        if sign is not None and out.sign is None:
            self._conclude(out, watched, _Verdict(None, sign.why, sign.event), code)
        elif out.resumed and watched.turn is not None and not had_turn:
            self._conclude(out, watched, _Verdict(None, out.why, out.sign), code)
