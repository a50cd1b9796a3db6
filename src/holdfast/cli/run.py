"""`holdfast run`."""

from __future__ import annotations

import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli import agents, terminal
from holdfast.cli.app import COMMANDS, INTERRUPT_EXIT, Context
from holdfast.errors import HoldfastError, SuperviseError, UsageError
from holdfast.supervise.spec import GRACE_S, RESTARTS, Wish

if TYPE_CHECKING:
    from holdfast.cli.output import Shown
    from holdfast.home import Home
    from holdfast.supervising import Launched, Supervisor, View


@click.command(
    "run",
    help=f"""{COMMANDS["run"][1]}

    Without --detach its output is shown as it comes, and its exit code is this command's (128 and the number, where a signal ended it).
    Ctrl-C, or the end of this command however it comes, leaves the agent running.
    """,
)
@click.argument("argv", metavar="-- PROGRAM [ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--detach", is_flag=True, help="Start it, print its id, and leave.")
@click.option("--name", help="What to call it.")
@click.option("--parent", help="The agent that it works for.  [default: the one that runs this command]")
@click.option("--task", help="What it is to do, in words.")
@click.option("--model", help="The model that it works with.")
@click.option(
    "--restart",
    type=click.Choice(RESTARTS),
    default="never",
    help="What is done when it fails, while a supervisor runs: the service, or this command.  [default: never]",
)
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="NAME=VALUE a line: added to its environment.",
)
@click.option("--cwd", type=click.Path(path_type=Path), help="Where it works.  [default: here]")
@click.option(
    "--grace", type=click.FloatRange(min=0), help="Seconds between SIGTERM and SIGKILL when it is stopped."
)
@click.option(
    "--again",
    metavar="AGENT",
    help="Start an agent that is over once more, as it was started, instead of a program.",
)
@click.option("--kill", is_flag=True, help="Ctrl-C stops it, instead of leaving it running.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(
    context: Context,
    argv: tuple[str, ...],
    detach: bool,  # noqa: FBT001
    name: str | None,
    parent: str | None,
    task: str | None,
    model: str | None,
    restart: Any,  # noqa: ANN401 - one of RESTARTS
    env_file: Path | None,
    cwd: Path | None,
    grace: float | None,
    again: str | None,
    kill: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> int | None:
    from holdfast import supervising
    from holdfast.supervise import inherited

    home = context.home
    if again is not None:
        if argv:
            raise UsageError("--again takes no program", hint="it starts what the agent was started with")
        return _go(home, supervising.start_again(home, again), detach=detach, kill=kill, as_json=as_json)
    wish = Wish(
        argv=argv,
        cwd=os.path.abspath(cwd or Path.cwd()),  # noqa: PTH100 - links stay, as the user wrote them
        environment={} if env_file is None else _variables(env_file),
        name=name,
        parent=_parent(home, parent),
        task=task,
        model=model,
        restart=restart,
        stop_grace_s=GRACE_S if grace is None else grace,
        requested_by="person",
        inherited=inherited.mine(),
    )
    launched = supervising.launch(home, wish)
    return _go(home, launched, detach=detach, kill=kill, as_json=as_json)


def _go(home: Home, launched: Launched, *, detach: bool, kill: bool, as_json: bool) -> int | None:
    for note in launched.notes:
        terminal.note(f"note: {note}")
    if not detach:
        return _attend(home, launched, kill=kill, as_json=as_json)
    _detached(home, launched, as_json=as_json)
    return None


def _detached(home: Home, launched: Launched, *, as_json: bool) -> None:
    from holdfast import supervising

    if as_json:
        terminal.print_json(_answer(launched))
    if launched.error is not None:
        raise SuperviseError(
            f"agent {launched.id} could not be started: {launched.error}",
            hint=f"`holdfast rm {launched.id}` forgets it",
        )
    if launched.pid is None:
        raise SuperviseError(
            f"agent {launched.id} has not begun: its shim went away, or takes very long",
            hint=f"a supervisor (`holdfast up`) tries again; `holdfast attempts {launched.id}` tells how it stands",
        )
    if not as_json:
        click.echo(launched.id)
    spec = supervising.find(home, launched.id).spec
    if spec is not None and spec.restart == "on-failure" and not _is_supervised(home):
        terminal.note(
            "note: it is started again while a supervisor runs, and none does: `holdfast up` is one"
        )


def _is_supervised(home: Home) -> bool:
    from holdfast import service  # it takes half as long to load as an agent to start

    return service.running(home.path) is not None


def _attend(home: Home, launched: Launched, *, kill: bool, as_json: bool) -> int:
    """Show what it writes until it is over, and start it again as was asked for; the exit code."""
    from holdfast import supervising
    from holdfast.cli.output import Shown
    from holdfast.supervise.output import Output

    shown = Shown(Output(launched.directory, launched.attempt), to_errors=as_json)
    supervisor = supervising.Supervisor(home, launched.id)
    try:
        _until_over(home, supervisor, shown, launched.id)
    except KeyboardInterrupt:
        if not kill:
            _say_left(launched.id)
            return INTERRUPT_EXIT
        terminal.note(f"stopping agent {launched.id}")
        supervising.stop(home, launched.id, by="person", why="Ctrl-C")
        shown.copy()
    finally:
        supervisor.close()
    view = supervising.find(home, launched.id)
    if as_json:
        terminal.print_json(agents.told(home, [view])[0])
    return _exit_code(view)


def _until_over(home: Home, supervisor: Supervisor, shown: Shown, agent: str) -> None:
    from holdfast import supervising

    said: set[str] = set()
    while True:
        ticked = supervisor.tick()
        view = supervising.find(home, agent)
        shown.copy()
        for _, attempt in ticked.started:
            terminal.note(f"note: attempt {attempt} of agent {agent} began")
        for _, why in ticked.trouble:
            if why not in said:
                terminal.note(f"note: {why}")
                said.add(why)
        if view.is_ended:
            return
        select.select(supervisor.descriptors(), [], [], _LOOK_AGAIN_S)


def _say_left(agent: str) -> None:
    terminal.note(
        f"agent {agent} goes on without this command: `holdfast logs -f {agent}` shows what it writes, `holdfast stop {agent}` ends it"
    )


def _exit_code(view: View) -> int:
    """The agent's own, as shells have it; raises SuperviseError where nobody knows."""
    last = view.last
    if last is not None:
        agents.say_left(view)
        if last.error is not None:
            raise SuperviseError(
                f"agent {view.id} could not be started: {last.error}",
                hint=f"`holdfast rm {view.id}` forgets it",
            )
        if last.exit_code is not None:
            return last.exit_code
        if last.signal is not None:
            return 128 + last.signal
    why = "" if last is None or last.why is None else f": {last.why}"
    raise SuperviseError(
        f"how agent {view.id} ended is not known{why}", hint=f"`holdfast attempts {view.id}` tells what is"
    )


_LOOK_AGAIN_S = 0.1


def _answer(launched: Launched) -> dict[str, Any]:
    return {
        "id": launched.id,
        "attempt": launched.attempt,
        "pid": launched.pid,
        "directory": os.fspath(launched.directory),
        "error": launched.error,
    }


def _parent(home: Home, given: str | None) -> str | None:
    """Whom it works for: as it was said, else the agent of this home that runs this command."""
    from holdfast import supervising
    from holdfast.supervise import tools

    if given is not None:
        return supervising.find(home, given).id
    above = tools.parent_of(os.environ)
    if above is None and os.environ.get(tools.AGENT):
        told = terminal.plain(os.environ[tools.AGENT][:40])
        terminal.note(f"note: {tools.AGENT} is no id of an agent, so this one works for nobody: {told!r}")
    return above if above is not None and (supervising.run_directory(home) / above).is_dir() else None


def _variables(path: Path) -> dict[str, str]:
    """Lines of NAME=VALUE; empty ones and those that begin with # are passed over. One pair of quotes around a value is taken off."""
    out: dict[str, str] = {}
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise HoldfastError(f"{path}: {exc}", hint="nothing was started") from exc
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SuperviseError(f"{path}, line {number}: expected NAME=VALUE", hint="nothing was started")
        value = value.strip()
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        out[name.strip()] = value[1:-1] if quoted else value
    return out
