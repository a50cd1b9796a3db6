"""`holdfast definitions create`, `put` and `edit`: write a definition, and only over what was read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Final

import click

from holdfast.cli import definition_writing as writing
from holdfast.cli import terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.definitions import ledger, placing, plain_yaml, tools
from holdfast.definitions.parse import SUFFIXES
from holdfast.errors import DefinitionConflict, DefinitionNotWritten, HoldfastError, UsageError
from holdfast.ids import uuid7
from holdfast.visible import printable_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.defining_writes import Copy

_PLAIN_NAME = re.compile(r"[A-Za-z_][\w -]*")
_TEXTS: Final = {
    tools.CLAUDE: "---\nname: {name}\ndescription: Say when this agent is to be used\n---\nSay what it is to do.\n",
    tools.CODEX: 'name = {quoted}\ndescription = "Say when this agent is to be used"\n'
    'developer_instructions = """\nSay what it is to do.\n"""\n',
    tools.CUSTOM: "---\nname: {name}\ndescription: Say when this agent is to be used\n---\n# {title}\n\n## Role\n\nSay what it is.\n\n"
    "## Capabilities\n\n- Say what it can do\n",
}


@click.command(
    "create",
    help=COMMANDS["definitions create"][1]
    + "\n\nIn the first tier of project, user and system that may be written, unless --tier or --strategy says where. Without --from it gets a text "
    "that says what is to be written where.",
)
@click.argument("name", metavar="NAME")
@writing.tool
@click.option("--tier", type=click.Choice(tools.TIERS), help="In this tier.")
@writing.strategy
@click.option("--from", "source", metavar="FILE", type=click.Path(), help="Its content; - is standard input.")
@writing.told
@click.pass_obj
def create(
    context: Context,
    name: str,
    tool: str | None,
    tier: str | None,
    strategy: str,
    source: str | None,
    reason: str | None,
    author: str | None,
    cwd: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    whose = tool or tools.CLAUDE
    content = _text(whose, name) if source is None else writing.given(source)
    suffix = os.path.splitext(source or "")[1].lower()  # noqa: PTH122 - any bytes
    chosen = suffix if whose == tools.CUSTOM and suffix in SUFFIXES else None
    writer, where = (
        writing.writer(context, cwd, author, reason),
        writing.where(name, None, whose, tier, strategy),
    )
    writing.carried_out(context, cwd, lambda: writer.create(where, content, suffix=chosen), as_json=as_json)


def _text(tool: str, name: str) -> bytes:
    quoted = json.dumps(name, ensure_ascii=False)
    plain = name if _PLAIN_NAME.fullmatch(name) and _reads_back(name) else quoted
    title = " ".join(name.split())
    return _TEXTS[tool].format(name=plain, quoted=quoted, title=title).encode("utf-8", "surrogateescape")


def _reads_back(name: str) -> bool:
    """Whether YAML takes a word for itself, and not for a truth value."""
    fields = plain_yaml.read(f"name: {name}").fields
    return fields is not None and fields["name"].value == name


@click.command(
    "put",
    help=COMMANDS["definitions put"][1]
    + "\n\n--base is the SHA-256 of what was read (`definitions show --json`), or `absent`. If something else lies there by then, nothing is written, "
    "both texts are kept, and the exit code is 44.",
)
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--path", metavar="FILE", type=click.Path(), help="Write this file instead of that of a name.")
@click.option("--base", metavar="SHA256", required=True, help="What may be written over; or `absent`.")
@click.option(
    "--from",
    "source",
    metavar="FILE",
    type=click.Path(),
    default="-",
    help="The content; standard input if it is not said.",
)
@writing.tool
@writing.tier
@writing.strategy
@writing.told
@click.pass_obj
def put(
    context: Context,
    name: str | None,
    path: str | None,
    base: str,
    source: str,
    tool: str | None,
    tier: str | None,
    strategy: str,
    reason: str | None,
    author: str | None,
    cwd: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    if (name is None) == (path is None):
        raise UsageError("give a NAME, or a file with --path")
    over = writing.base_of(base)
    content = writing.given(source)
    writer, where = (
        writing.writer(context, cwd, author, reason),
        writing.where(name, path, tool, tier, strategy),
    )
    writing.carried_out(context, cwd, lambda: writer.put(where, content, over), as_json=as_json)


@click.command(
    "edit",
    help=COMMANDS["definitions edit"][1]
    + "\n\n$VISUAL or $EDITOR gets a copy. What you save is written if nobody else wrote meanwhile; else both texts are kept, and the exit code is 44.",
)
@click.argument("name", metavar="NAME")
@writing.tool
@writing.tier
@writing.strategy
@writing.told
@click.pass_obj
def edit(
    context: Context,
    name: str,
    tool: str | None,
    tier: str | None,
    strategy: str,
    reason: str | None,
    author: str | None,
    cwd: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    writer, where = (
        writing.writer(context, cwd, author, reason),
        writing.where(name, None, tool, tier, strategy),
    )
    read = writer.read(where)
    for left in _left_behind(context.home.path):
        click.echo(terminal.plain(f"left by an edit that was cut: {left}"), err=True)
    copy = _copy(context.home.path, read)
    try:
        with _held(copy.parent):
            content = _edited(copy)
        if strategy == placing.TIER_SPECIFIC:
            where = writing.where(None, read.place.file.path, tool, tier, strategy)
        writing.carried_out(context, cwd, lambda: writer.put(where, content, read.sha256), as_json=as_json)
    except DefinitionConflict:
        _remove(copy)  # what was written in it is kept with the conflict
        raise
    except BaseException as exc:
        _say_kept(copy, exc)
        raise
    _remove(copy)


def _left_behind(home: Path) -> list[str]:
    """Copies that nobody edits any more, and that were not written: whoever did was killed."""
    out = []
    for copy in sorted((home / ledger.DIRECTORY / ledger.EDITING).glob("*/*")):
        with contextlib.suppress(OSError), _held(copy.parent):
            out.append(printable_path(str(copy)))
    return out


@contextlib.contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Show that somebody edits what lies in a directory. Raises OSError: somebody else does."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def _say_kept(copy: Path, exc: BaseException) -> None:
    """Say where the text is that was not written."""
    if not copy.exists():
        return
    where = f"your text is in {printable_path(str(copy))}"
    if isinstance(exc, HoldfastError):
        exc.hint = f"{exc.hint}; {where}" if exc.hint else where
    else:
        click.echo(terminal.plain(where), err=True)


def _copy(home: Path, read: Copy) -> Path:
    """A copy to edit, which nobody else can read; its name tells the editor what it is."""
    directory = home / ledger.DIRECTORY / ledger.EDITING / uuid7()
    path = directory / os.path.basename(read.place.file.path)  # noqa: PTH119 - any bytes
    try:
        directory.mkdir(mode=0o700, parents=True)
        directory.parent.chmod(0o700)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(read.content)
    except OSError as exc:
        raise DefinitionNotWritten(printable_path(str(path)), f"no copy can be made: {exc.strerror}") from exc
    return path


def _edited(copy: Path) -> bytes:
    """What the editor makes of a copy."""
    words = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        command = [*shlex.split(words), str(copy)]
        with _uninterrupted():
            status = subprocess.run(command, check=False).returncode
    except (OSError, ValueError) as exc:
        hint = "set VISUAL or EDITOR to the command of an editor"
        raise UsageError(f"the editor {words!r} cannot be started: {exc}", hint=hint) from exc
    if status:
        raise HoldfastError(f"the editor {words!r} ended with {status}, so nothing was written")
    if not os.path.lexists(copy):
        raise HoldfastError(f"the editor {words!r} removed its copy, so nothing was written")
    return writing.given(str(copy))


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keys that interrupt mean the editor alone, as with git. It does not inherit a handler, and would inherit that they are ignored."""
    before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGINT, signal.SIGQUIT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _remove(copy: Path) -> None:
    shutil.rmtree(copy.parent, ignore_errors=True)  # with what the editor keeps beside a file


commands = {"definitions create": create, "definitions put": put, "definitions edit": edit}
