"""The shim: starts one agent, stays beside it until it ends, and writes down how. One process for one attempt.

    python -I -S shim.py DIRECTORY GRACE_S BEAT_S READY_FD -- PROGRAM [ARGUMENT...]

What it reads and writes in DIRECTORY, its signals and its promises are specified in docs/format.md ("Run directories"), so that a
native program can take its place. Whoever starts it gives it the agent's environment and working directory, a session of its own, and,
on Linux, makes it a child subreaper (prctl(2)), which an exec keeps.

It imports only what starting the interpreter has loaded anyway, or costs next to nothing: a hundred of these may be idle at once.
"""

# ruff: noqa: PTH123, PTH208, SIM105, UP031 - pathlib, contextlib and all that is not imported below take memory a hundred times
from __future__ import annotations

import fcntl
import os
import select
import sys
import time

TYPE_CHECKING = False  # typing takes long to load
if TYPE_CHECKING:
    import signal
    from resource import struct_rusage as Usage  # noqa: N812 - what os.wait4 gives
else:
    import _signal as signal  # the same without names for the numbers, which take a seventh of all memory

FORMAT = 1
REFUSED = 75  # exit code: this attempt is another shim's, or was
_ROOM_BYTES = (
    2_048  # taken before the agent begins, so that a full disk cannot keep its end from being written
)
_MOST_LEFT = 16  # processes that are listed
_LATE_S = 0.02  # between two looks whether a process that was killed is gone
_KILLED_WITHIN_S = 5.0
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:+/@ -")
Below = tuple[int, int, int, str, bool]  # number, group, start ticks, name, whether it is a shim
STOP, KILL, PAUSE, GO_ON = signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGCONT
_HANDLED = (STOP, KILL, PAUSE, GO_ON, signal.SIGCHLD)


def main(arguments: list[str]) -> int:
    """Run one attempt; the exit code is 0 once its end is written down."""
    umask = os.umask(0o077)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever started this may have been deaf
    directory, grace_s, beat_s, ready = arguments[1:5]
    room = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=room)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return REFUSED
    if _exists(room, "child.json") or _exists(room, "exit.json"):
        return REFUSED
    told = int(ready)
    if told >= 0:
        os.set_inheritable(told, False)  # noqa: FBT003 - that is how it is called
    return Shim(room, float(grace_s), float(beat_s), told, umask).run(arguments[6:])


class Shim:
    """One attempt, from the fork to its end."""

    def __init__(self, room: int, grace_s: float, beat_s: float, ready: int, umask: int) -> None:
        self.room = room
        self.grace_s = grace_s
        self.beat_s = beat_s
        self.ready = ready
        self.umask = umask  # the agent's; ours lets nobody else read
        self.pid = 0
        self.asked: str | None = None  # stop or kill, as somebody asked for it
        self.counted: str | None = None  # the same, if it was before the agent's end
        self.kill_at_s: float | None = None  # on the monotonic clock
        self.end: tuple[int, Usage] | None = None  # its status and what it used, once it is reaped
        self.heard, told = os.pipe()
        os.set_blocking(told, False)
        os.set_blocking(self.heard, False)
        for number in _HANDLED:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)

    def run(self, command: list[str]) -> int:
        """Start it, wait for its end, and write that down."""
        _keep_room(self.room)
        self.beat = os.open("hb", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=self.room)
        error = self.start(command)
        if not error:
            self.tell(b"1")
        os.chdir("/")
        self.wait()
        left = self.sweep()
        if self.end is None:
            _, status, usage = os.wait4(self.pid, 0)
            self.end = status, usage
        self.write_end(*self.end, error, self.counted, left)
        if error:
            self.tell(b"x")
        return 0

    def tell(self, how: bytes) -> None:
        """Say whether it runs to who waits for that, if anybody does."""
        if self.ready >= 0:
            try:
                os.write(self.ready, how)
            except OSError:
                pass  # who waited for it is gone
            os.close(self.ready)

    # ── start ──

    def start(self, command: list[str]) -> str:
        """Fork the agent, write down who it is, and only then let it begin; what kept it from beginning, if anything did."""
        go, release = os.pipe()
        why, failed = os.pipe()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        out = os.open("out.log", flags, 0o600, dir_fd=self.room)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(release)
            _become(command, self.umask, go, failed, out)
        for fd in (go, failed, out):
            os.close(fd)
        mine = os.getpid()
        line = (
            '{"format":%d,"pid":%d,"start_ticks":%s,"shim_pid":%d,"shim_start_ticks":%s,"boot_id":%s,"started_us":%d}\n'
            % (FORMAT, self.pid, _ticks(self.pid), mine, _ticks(mine), _boot(), _now_us())
        )
        _write_whole(self.room, "child.json", line)
        os.write(release, b"g")
        os.close(release)
        error = b""
        while True:  # it ends when the program runs, which closes the other end
            part = os.read(why, 512)
            if not part:
                break
            error += part
        os.close(why)
        return error.decode("ascii", "replace")

    # ── stay ──

    def wait(self) -> None:
        """Be there until it has ended; it is not reaped yet, so that its number stays its own."""
        beat_at_s = time.monotonic()
        while not self.is_over():
            now_s = time.monotonic()
            if now_s >= beat_at_s:
                try:
                    os.utime(self.beat)
                except OSError:
                    pass  # it only dates a power cut
                beat_at_s = now_s + self.beat_s
            if self.kill_at_s is not None and now_s >= self.kill_at_s:
                self.signal(signal.SIGKILL)
                self.kill_at_s = None
            until_s = beat_at_s if self.kill_at_s is None else min(beat_at_s, self.kill_at_s)
            self.listen(max(0.0, until_s - now_s))

    def listen(self, timeout_s: float) -> None:
        """Wait for a signal, and do what it asks for."""
        select.select([self.heard], [], [], timeout_s)
        try:
            numbers = os.read(self.heard, 512)
        except BlockingIOError:
            return
        for number in numbers:
            if number in (STOP, KILL) and self.counted is None and not self.is_over():
                self.counted = "stop" if number == STOP else "kill"
            if number == STOP and self.asked is None:
                self.asked = "stop"
                self.signal(signal.SIGTERM)
                self.signal(signal.SIGCONT)  # what is paused could not hear it
                self.kill_at_s = time.monotonic() + self.grace_s
            elif number == KILL:
                self.asked = self.asked or "kill"
                self.signal(signal.SIGKILL)
            elif number == PAUSE:
                self.signal(signal.SIGSTOP)
            elif number == GO_ON:
                self.signal(signal.SIGCONT)

    def is_over(self) -> bool:
        """Whether the agent has ended. Orphans that came to us are reaped on the way."""
        if not hasattr(os, "waitid"):  # macOS before Python 3.13: it is reaped at once, and told at the end
            return self.is_reaped()
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                return False
            if found.si_pid == self.pid:
                return True
            os.waitpid(found.si_pid, 0)

    def is_reaped(self) -> bool:
        if self.end is None:
            done, status, usage = os.wait4(self.pid, os.WNOHANG)
            self.end = (status, usage) if done else None
        return self.end is not None

    def signal(self, number: int) -> None:
        """To the agent's group, which exists as long as the agent is not reaped."""
        try:
            os.killpg(self.pid, number)
        except OSError:
            pass

    # ── end ──

    def sweep(self) -> list[Below]:
        """End what is left of its group, and list what left that group before."""
        began_s = time.monotonic()
        number: int = signal.SIGKILL if self.asked == "kill" else signal.SIGTERM
        limit_s = 0.0 if self.asked else self.grace_s
        while True:
            below = _below(os.getpid())
            group = [one for one in below if one[1] == self.pid]
            if not group and number != 0:
                self.signal(signal.SIGKILL)  # where nobody tells who is in it
                break
            if not group:
                break
            if number:
                self.signal(number)
                self.signal(signal.SIGCONT)
                number = 0
            passed_s = time.monotonic() - began_s
            if passed_s > limit_s or self.asked == "kill":
                self.signal(signal.SIGKILL)
            if passed_s > limit_s + _KILLED_WITHIN_S:
                break
            self.listen(_LATE_S)
            self.reap(below)
        self.reap(below)
        return [one for one in below if one[1] != self.pid and not one[4]]

    def reap(self, below: list[Below]) -> None:
        for one in below:
            try:
                if one[0] != self.pid:
                    os.waitpid(one[0], os.WNOHANG)
            except OSError:
                pass  # it is a grandchild yet

    def write_end(self, status: int, usage: Usage, error: str, asked: str | None, left: list[Below]) -> None:
        """`exit.json` is whole and on disk before the lock is free."""
        code = signalled = "null"
        if error:
            code = "127" if error.startswith("2 ") else "126"
        elif os.WIFSIGNALED(status):
            signalled = str(os.WTERMSIG(status))
        else:
            code = str(os.WEXITSTATUS(status))
        rss = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1_024)
        told = ",".join(
            '{"pid":%d,"start_ticks":%s,"name":"%s"}' % (one[0], one[2], one[3]) for one in left[:_MOST_LEFT]
        )
        line = (
            '{"format":%d,"exit_code":%s,"signal":%s,"error":%s,"asked":%s,"ended_us":%d,"user_us":%d,"system_us":%d,'
            '"max_rss_bytes":%d,"left_count":%d,"left":[%s]}'
        ) % (
            FORMAT,
            code,
            signalled,
            '"%s"' % _plain(error.partition(" ")[2]) if error else "null",
            '"%s"' % asked if asked else "null",
            _now_us(),
            int(usage.ru_utime * 1e6),
            int(usage.ru_stime * 1e6),
            rss,
            len(left),
            told,
        )
        fd = os.open(".exit", os.O_WRONLY | os.O_NOFOLLOW, dir_fd=self.room)
        os.pwrite(fd, line.encode("ascii").ljust(_ROOM_BYTES - 1) + b"\n", 0)
        os.fsync(fd)
        os.rename(".exit", "exit.json", src_dir_fd=self.room, dst_dir_fd=self.room)
        os.fsync(self.room)


def _become(command: list[str], umask: int, go: int, failed: int, out: int) -> None:
    """In the forked process: wait for leave, and become the agent. Without a shim there is no leave."""
    try:
        os.setsid()
        os.umask(umask)
        signal.set_wakeup_fd(-1)
        for number in range(1, signal.NSIG):  # also what whoever started us ignored
            try:
                signal.signal(number, signal.SIG_DFL)
            except (OSError, ValueError):
                pass  # that one is always as it is
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        _be_killed_first()
        if os.read(go, 1) == b"g":
            os.execvp(command[0], command)  # noqa: S606 - that is what it is for
    except OSError as exc:
        os.write(failed, ("%d %s" % (exc.errno or 0, exc.strerror)).encode("ascii", "replace"))
    finally:
        os._exit(127)


def _be_killed_first() -> None:
    """Where memory runs out, the agent goes before its shim, which then tells how."""
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
            score = int(file.read())
            file.seek(0)
            file.write(b"%d" % min(1_000, score + 100))
    except (OSError, ValueError):
        pass


def _below(top: int) -> list[Below]:
    """Each living process below one; none where the system does not tell."""
    out: list[Below] = []
    todo = [top]
    while todo:
        parent = todo.pop()
        for child in _children(parent):
            found = _stat(child)
            if found is None:
                continue
            name, state, group, ticks = found
            if state in "ZX":  # its children, if it had any, are ours already
                continue
            is_shim = _is_shim(child)
            out.append((child, group, ticks, name, is_shim))
            if not is_shim:  # what another shim watches is its own
                todo.append(child)
    return out


def _children(pid: int) -> list[int]:
    """Those of all its threads: what one of them forked stands with that one."""
    out = []
    try:
        threads = os.listdir("/proc/%d/task" % pid)
    except OSError:
        return []  # it ended meanwhile, and what it had is ours then
    for thread in threads:
        try:
            with open("/proc/%d/task/%s/children" % (pid, thread), "rb", buffering=0) as file:
                out += [int(each) for each in file.read(1 << 16).split()]
        except OSError:
            pass  # that one ended meanwhile, and what it had is another's
    return out


def _is_shim(pid: int) -> bool:
    try:
        with open("/proc/%d/cmdline" % pid, "rb", buffering=0) as file:
            return os.fsencode(__file__) in file.read(4_096).split(b"\0")
    except OSError:
        return False


def _stat(pid: int) -> tuple[str, str, int, int] | None:
    """Its name, state, group and start; None: there is none, or nobody tells."""
    try:
        with open("/proc/%d/stat" % pid, "rb", buffering=0) as file:
            head, _, rest = file.read(4_096).rpartition(b")")
    except OSError:
        return None
    fields = rest.split()
    name = head.partition(b"(")[2].decode("latin-1")
    return _plain(name), fields[0].decode("ascii"), int(fields[2]), int(fields[19])


def _plain(text: str) -> str:
    return "".join(each if each in _PLAIN else "?" for each in text)


def _ticks(pid: int) -> str:
    fields = _stat(pid)
    return "null" if fields is None else str(fields[3])


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb", buffering=0) as file:
            return '"%s"' % _plain(file.read(64).decode("ascii").strip())
    except OSError:
        return "null"


def _now_us() -> int:
    return time.time_ns() // 1_000


def _exists(room: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=room, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _keep_room(room: int) -> None:
    """Take the space that the end will need now."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    fd = os.open(".exit", flags, 0o600, dir_fd=room)
    os.write(fd, b" " * _ROOM_BYTES)
    os.fsync(fd)
    os.close(fd)


def _write_whole(room: int, name: str, text: str) -> None:
    """A file that is there whole, or not at all, also after a power cut."""
    fd = os.open("." + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600, dir_fd=room)
    os.write(fd, text.encode("ascii"))
    os.fsync(fd)
    os.close(fd)
    os.rename("." + name, name, src_dir_fd=room, dst_dir_fd=room)
    os.fsync(room)


if __name__ == "__main__":
    os._exit(main(sys.argv))  # nothing is left to tidy up, and who waits for its end need not wait longer
