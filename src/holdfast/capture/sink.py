"""The line of shell that hooks run: it appends its input whole to a spool, says nothing, and succeeds.

A tool waits for its hooks, so they start as little as can be: the shell becomes a program of forty lines of C, compiled where hooks
are installed (`build`). Where there is no compiler, or the home is gone, GNU `dd` does the same in a process of its own; on macOS,
which has no such `dd`, `perl`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from importlib import resources
from typing import TYPE_CHECKING, Final

from holdfast.journal.blobs import write_over

if TYPE_CHECKING:
    from pathlib import Path

OURS: Final = ": holdfast hook"
LIMIT_BYTES: Final = 8 << 20  # of one payload
CUT_BYTES: Final = LIMIT_BYTES + 1  # what is written of a longer one
DIRECTORY: Final = "bin"  # of a home
PROGRAM: Final = "hook"  # and "-", and the processor it is for: homes may be shared
_PROCESSOR = "/proc/sys/kernel/arch"  # of Linux 6.1 and later
SOURCE: Final = "hook.c"  # what it was compiled from
_COMPILERS = ("cc", "gcc", "clang")
_LIMIT_S = 60
_DD = (  # where it says that it did not read everything, or nothing: the tool is not to be told of a broken pipe
    f"case $(LC_ALL=C dd bs={CUT_BYTES} count=1 iflag=fullblock oflag=append conv=notrunc status=noxfer of={{spool}} 2>&1) "
    "in 0+[01]*) ;; *) cat ;; esac"
)
_PERL = (
    '@SIG{PIPE,XFSZ}=("IGNORE")x2;($f,$b)=@ARGV;'
    f"while(($n={CUT_BYTES}-length$b)>0){{sysread(STDIN,$b,$n,length$b)or last}}"
    r'$b.="\n"if$n>0&&length$b&&substr($b,-1)ne"\n";'
    'open(F,">>",$f)&&syswrite(F,$b);1 while sysread STDIN,$b,65536'
)
_FOR_PERL = "unset PERL5OPT PERL5LIB PERL5DB PERLIO PERL_UNICODE"  # what could make it fail


def line(directory: Path, tool: str) -> str:
    """What a tool runs, with its payload as standard input. Claude Code ends that with a line end, Codex does not.

    Args:
        directory: the inbox of a home.
        tool: whose spool.
    """
    append = _append(directory / tool, "" if tool == "claude" else "{ cat; echo; }")
    return _line(directory, tool, append)


def notified(directory: Path) -> list[str]:
    """The command that Codex gives what happened as a last argument: it appends that, as `line` does its input."""
    append = _append(directory / "codex", """printf '%s\\n' "$1\"""")
    return ["sh", "-c", _line(directory, "codex", append, "exec </dev/null; "), "notify"]


def _line(directory: Path, tool: str, append: str, before: str = "") -> str:
    program = f"{_quoted(directory.parent / DIRECTORY / PROGRAM)}-$m"
    native = (
        f'm=; read -r m <{_PROCESSOR}; [ -x {program} ] && exec {program} {_quoted(directory / tool)} "$@"'
    )
    return f"{OURS} 1; {before}umask 077; exec >/dev/null 2>&1; {native}; {append}; :"


def _append(spool: Path, said: str) -> str:
    """How it is done without our own program; `said`: what says the payload with its line end."""
    if sys.platform == "darwin":
        return f'{_FOR_PERL}; perl -e {shlex.quote(_PERL)} {_quoted(spool)} "$@"'
    dd = _DD.format(spool=_quoted(spool))
    return f"{said} | {{ {dd}; }}" if said else dd


def _quoted(path: Path) -> str:
    return shlex.quote(os.fspath(path))


# ── our own program ──


class NotBuilt(Exception):
    """There is no program of ours; `str()` of it says why."""


def program(home: Path) -> Path | None:
    """The program that hooks of a home run on this machine; None: they run programs of the system."""
    processor = _processor()
    place = home / DIRECTORY / f"{PROGRAM}-{processor}"
    return place if processor and os.access(place, os.X_OK) else None


def _processor() -> str | None:
    try:
        with open(_PROCESSOR, encoding="ascii") as file:  # noqa: PTH123 - as the shell does
            return file.readline().strip()
    except OSError:
        return None


def build(home: Path) -> None:
    """Compile it into a home, unless it is there already.

    Linked statically: it starts in half the time, and in a container that has the home but another C library too.

    Raises:
        NotBuilt: it could not be done; hooks work without it.
    """
    place = home / DIRECTORY
    source = resources.files(__package__).joinpath("hook_sink.c").read_bytes()
    with contextlib.suppress(OSError, NotBuilt, subprocess.SubprocessError):
        if (built := program(home)) is not None and (place / SOURCE).read_bytes() == source:
            _try(built)
            return
    processor = _processor()
    if sys.platform != "linux" or not processor:
        raise NotBuilt("it is made for Linux 6.1 and later alone")
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise NotBuilt("there is no C compiler (cc)")
    made = place / f".{PROGRAM}.{secrets.token_hex(16)}"
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        _compile(compiler, source, made)
        _try(made)
        _sync(made)
        made.rename(place / f"{PROGRAM}-{processor}")
        write_over(place / SOURCE, source)
    except (OSError, subprocess.SubprocessError) as exc:
        raise NotBuilt(str(exc)) from exc
    finally:
        _remove(made)


def _compile(compiler: str, source: bytes, made: Path) -> None:
    done = subprocess.run(
        [compiler, "-x", "c", "-O2", "-static", "-s", "-o", made, "-"],
        input=source,
        capture_output=True,
        timeout=_LIMIT_S,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise NotBuilt(f"{compiler} failed: {said[0]}")
    made.chmod(0o700)


def _try(program: Path) -> None:
    """Append with it once."""
    spool = program.with_name(f".{PROGRAM}.{secrets.token_hex(16)}.tried")
    try:
        done = subprocess.run(
            [program, spool], input=b"tried", capture_output=True, timeout=_LIMIT_S, check=False
        )
        if done.returncode or done.stdout or done.stderr or spool.read_bytes() != b"tried\n":
            raise NotBuilt("what was compiled does not work here")
    finally:
        _remove(spool)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
