"""The command's frame: global options, subcommands loaded when used, and the one place where errors become words.

Each subcommand is a module of its own that parses, calls one function, and prints. Options for settings are made
from the settings table.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from holdfast import __version__
from holdfast.cli import terminal
from holdfast.errors import HoldfastError, StoreError
from holdfast.settings import SETTINGS, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.home import Home

UNEXPECTED_EXIT = 70  # EX_SOFTWARE of sysexits.h: a bug of ours
_COLLECT_EVERY = (
    50_000  # new objects; every 700, as Python has it, costs a command on a large home a tenth of its time
)
INTERRUPT_EXIT = 130  # 128 + SIGINT, as shells have it

# name → (module, the first line of its help; shown without loading the module)
COMMANDS = {
    "sessions": ("sessions", "List every session, last activity first."),
    "show": ("show", "One session: summary, agents, files touched, errors."),
    "tree": ("tree", "One session as a tree of agents, turns and tool calls."),
    "timeline": ("timeline", "What happened in one session, in order."),
    "handoff": ("handoff", "Hand a session over: goal, done, cut, next, files, checks, in one packet."),
    "search": ("search", "Find words in prompts, answers, tool inputs and outputs, newest first."),
    "stats": ("stats", "Use per agent type, tool, model and day."),
    "cost": (
        "cost",
        "What model calls cost and took: lately, by day, model, project, agent type or session.",
    ),
    "recover check": ("recover", "Whether anything was cut: how many sessions and agents, and since when."),
    "recover list": ("recover", "What was cut, with its agents and open calls, the latest first."),
    "recover show": ("recover", "One session: where everything in it stands, and the lines that prove it."),
    "recover packet": ("recover", "What whoever carries on needs to know of one session, in one text."),
    "recover mark": ("recover", "Say what became of a session or agent that was cut."),
    "recover clear": ("recover", "Say that sessions that were cut need no attention any more."),
    "recover resume": (
        "recover_resume",
        "Go on with a session that was cut, and see whether it works again.",
    ),
    "watch": ("watch", "What agents do, as they do it; ends with Ctrl-C."),
    "run": ("run", "Start an agent that outlives this command, and this terminal."),
    "ps": ("ps", "Agents that were started here: state, last sign of life, CPU and memory."),
    "logs": ("logs", "What an agent wrote, and with -f what it writes."),
    "attempts": ("attempts", "The lives of one agent: when each began, and how it ended."),
    "stop": ("steer", "Ask agents to end: SIGTERM, and after their grace SIGKILL."),
    "kill": ("steer", "End agents at once."),
    "pause": ("steer", "Halt agents until `holdfast unpause`."),
    "unpause": ("steer", "Have paused agents go on."),
    "rm": ("steer", "Remove what ended agents left in the home, their output too."),
    "cleanup": ("cleanup", "Remove what agents left that ended long ago."),
    "progress": ("progress", "Say how far an agent is: from 0 to 100, and what it works on."),
    "requests list": ("requests", "Requests to deploy agents: what waits, and what was refused and why."),
    "requests process": ("requests", "Answer the requests that wait, as the service does while it runs."),
    "up": ("service", "Keep the home caught up as long as this runs: the service."),
    "status": ("service", "Whether the service runs, and how it is."),
    "down": ("service", "End the service."),
    "service install": ("service", "Have the system start the service when you log in."),
    "service uninstall": ("service", "Have the system start it no longer."),
    "checkpoint take": (
        "checkpoint",
        "Keep the files of a workspace as they lie there now; `holdfast checkpoint` is the same.",
    ),
    "checkpoint list": ("checkpoint", "List the checkpoints of a workspace, the newest first."),
    "checkpoint show": (
        "checkpoint",
        "One checkpoint: what is in it, what is not, and what changed since the one before.",
    ),
    "checkpoint diff": ("checkpoint", "Which files differ from a checkpoint, now or in another one."),
    "definitions list": (
        "definitions",
        "Which definitions of agents count here, and what they hide; `holdfast definitions` is the same.",
    ),
    "definitions show": ("definitions", "One definition: what it says of itself, and its text."),
    "definitions why": ("definitions", "Which file of a name counts here, which it hides, and why."),
    "definitions validate": (
        "definitions_validate",
        "Whether definitions are what their tools take: a score, and what is wrong in which line.",
    ),
    "definitions history": (
        "definition_history",
        "What became of a definition: every revision that was seen, and who may have made it.",
    ),
    "definitions diff": ("definition_history", "What differs between two revisions of a definition."),
    "definitions snapshot": (
        "definition_restore",
        "Give all definitions that count here one id, as they lie now.",
    ),
    "definitions snapshots": (
        "definition_restore",
        "List the snapshots of definitions, or the files of one.",
    ),
    "definitions purge": ("definition_purge", "Remove old contents of definitions for good."),
    "definitions outcomes": (
        "definitions_outcomes",
        "What came of the runs of a definition, text by text: completed, tried again, cost, time.",
    ),
    "definitions create": ("definitions_write", "Write a definition that there is not."),
    "definitions edit": ("definitions_write", "Change a definition in your editor."),
    "definitions put": ("definitions_write", "Write a definition, but only over what was read."),
    "definitions delete": ("definitions_move", "Remove a definition's file; its contents are kept."),
    "definitions migrate": ("definitions_move", "Move a definition into another tier."),
    "definitions replicate": ("definitions_move", "Copy a definition into other tiers."),
    "definitions conflicts": (
        "definitions_conflicts",
        "What was not written because somebody else had written there, and waits for a decision.",
    ),
    "definitions resolve": ("definitions_conflicts", "Decide such a conflict."),
    "import": ("import_", "Record agent history: what is new by default, or the given paths."),
    "export": ("export", "Write the recorded history into one file that another home can import."),
    "restore session": ("restore", "Write a session's transcripts back, as they were recorded."),
    "restore checkpoint": ("restore", "Write a checkpoint's files into a new directory, as they lay there."),
    "restore definition": ("definition_restore", "Give a definition a content back that it had."),
    "workspace list": ("workspace", "List the directories that agents worked in, the one used last first."),
    "workspace move": ("workspace", "Say that a project, and all below it, lies elsewhere now."),
    "record": ("record", "Append typed events: one JSON object a line on standard input."),
    "doctor": ("doctor", "Compare claims with facts; list what is damaged, skipped or missing."),
    "config": ("config", "Every setting, its value, and where the value comes from."),
    "rebuild": ("rebuild", "Fold the journal into a new store."),
    "journal verify": ("journal", "Prove that the journal is what was written: read every byte and compare."),
    "journal seal": ("journal", "Compress and chain the segments that nobody writes any more."),
    "journal retire": ("journal", "Drop the full texts of old history; every answer stays."),
    "forget": ("forget", "Remove all of a session from the home, for good; it does not come back."),
    "redact apply": ("redact", "Take secrets out of everything that is stored, by the rules of today."),
    "redact check": ("redact_check", "What would be taken out of a file or of standard input, and why."),
    "redact stats": ("redact_check", "What was taken out of the recorded history, by kind and source."),
    "redact rules": ("redact_rules", "List every rule: what it takes out, how it is told, whose it is."),
    "redact add": ("redact_rules", "Add a rule of your own: a prefix and what follows it, or a pattern."),
    "redact allow": ("redact_rules", "Let a value through that is no secret."),
    "redact remove": ("redact_rules", "Remove rules of yours, or what you let through."),
    "redact emails": ("redact_rules", "Take out e-mail addresses too, or leave them."),
    "hooks install": ("hooks", "Have the tool tell what its transcripts lack: who waits for you, who left."),
    "hooks uninstall": ("hooks", "Remove our hooks from the tools' settings."),
    "hooks status": (
        "hooks",
        "Which settings hold our hooks, whether Codex trusts them, and what waits to be recorded.",
    ),
    "uninstall": ("uninstall", "Remove what was put outside the home; with --purge the home too."),
}
GROUPS = {
    "recover": "What was cut, and how to carry on: check, list, show, packet, resume, mark, clear.",
    "requests": "What coordinators ask for through files: list, process.",
    "checkpoint": "Keep the files of a workspace as they lie there now: take (the default), list, show, diff.",
    "definitions": "The files that say what an agent is: list (the default), show, why, validate, create, edit, put, delete, migrate, replicate, conflicts, resolve, history, diff, snapshot, snapshots, outcomes, purge.",
    "restore": "Give back what was kept: session, checkpoint, definition.",
    "workspace": "The directories that agents worked in: list, move.",
    "journal": "Prove and care for the journal: verify, seal, retire.",
    "hooks": "What the tool tells while it works: install, uninstall, status.",
    "service": "The service that the system starts: install, uninstall.",
    "redact": "Secrets: check a file, what was taken out, rules of your own, clean what is stored.",
}


DEFAULTS = {
    "checkpoint": "take",
    "definitions": "list",
}  # what a group does that is named without one of its commands


def find_command(name: str) -> click.Command:
    """The command of this name ("sessions", "journal verify"); its module is imported now."""
    module = importlib.import_module(f"holdfast.cli.{COMMANDS[name][0]}")
    commands: dict[str, click.Command] | None = getattr(module, "commands", None)
    command: click.Command = module.command if commands is None else commands[name]
    for param in command.params:
        if param.type is click.STRING:
            param.type = _TEXT
    return command


class _Text(click.types.StringParamType):
    """Text that can be recorded, stored and searched for. Names of files are none: the system lets them be any bytes."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - click's interface
        text = super().convert(value, param, ctx)
        assert isinstance(text, str)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self.fail("it is not UTF-8.", param, ctx)
        return text


_TEXT = _Text()


class _Lazy(click.Group):
    """Subcommands are imported when they run; help lists them without. A group holds the commands that begin with its name."""

    def _lines(self) -> dict[str, str]:
        if self.name in GROUPS:
            return {
                name.partition(" ")[2]: line
                for name, (_, line) in COMMANDS.items()
                if name.startswith(f"{self.name} ")
            }
        return {name: line for name, (_, line) in COMMANDS.items() if " " not in name} | GROUPS

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        default = DEFAULTS.get(self.name or "")
        asks_for_help = bool(args) and args[0] in ctx.help_option_names
        if default is not None and not asks_for_help and (not args or args[0] not in self._lines()):
            args = [default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        return list(self._lines())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._lines():
            return None
        if cmd_name in GROUPS and self.name not in GROUPS:
            return _Lazy(cmd_name, help=GROUPS[cmd_name], no_args_is_help=True)
        return find_command(f"{self.name} {cmd_name}" if self.name in GROUPS else cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lines().items()))


class Context:
    """What every subcommand gets: settings, and the home opened on first use."""

    def __init__(self, flags: dict[str, Any]) -> None:
        self.settings = load(None, os.environ, flags)
        self._home: Home | None = None

    @property
    def home(self) -> Home:
        if self._home is None:
            from holdfast.home import Home

            self._home = Home(self.settings)
        return self._home

    def outdated_home(self) -> Home:
        """The home, also when it was written before redaction was what it is."""
        from holdfast.home import Home

        return Home(self.settings, outdated=True)

    def sample_home(self) -> Home:
        """The home of the bundled samples, inside the user's own."""
        from holdfast.home import Home

        return Home(self.settings, sample=True)

    @property
    def stale_us(self) -> int:
        return int(self.settings.stale_after_s * 1_000_000)


def _with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    for setting in reversed(SETTINGS):
        shown = setting.name == "home"
        option = click.option(
            setting.flag,
            setting.name,
            metavar=setting.unit.upper().replace(" ", "-"),
            help=setting.sentence,
            hidden=not shown,
        )
        command = option(command)
    return command


@click.group(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found (`recover check`: something was cut), 4 still alive, 10-12 home, 20-28, 34 and 35 journal, 30-33 store, "
    "40 doctor found faults, 41 redact check found secrets, 42 definitions validate found invalid ones, 43 a definition may not be written, 44 somebody else changed it, 45 it could not be, 60-62 service, 65-67 resume, 70 a bug, 72-74 agents (`run`: the agent's own), 75-77 checkpoint, 130 interrupted. Every setting of `holdfast config` can also be given here, "
    "as --NAME VALUE before the command.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.version_option(__version__, prog_name="holdfast")
@_with_settings
@click.pass_context
def cli(ctx: click.Context, /, as_json: bool, **flags: Any) -> None:  # noqa: ANN401, FBT001 - click's interface
    """Keep hold of what your AI agents did.

    Without a command: what your agents did lately, what was interrupted, and what is about to be swept.
    """
    ctx.obj = Context(flags)
    if as_json:
        ctx.default_map = _json_by_default()
    if ctx.invoked_subcommand is None:
        from holdfast.cli import overview

        overview.run(ctx.obj, as_json=as_json)


def _json_by_default() -> dict[str, Any]:
    """What makes `holdfast --json COMMAND` the same as `holdfast COMMAND --json`."""
    out: dict[str, Any] = {}
    for name in COMMANDS:
        first, _, second = name.partition(" ")
        if second:
            out.setdefault(first, {})[second] = {"as_json": True}
        else:
            out[first] = {"as_json": True}
    return out


class _Never(Exception):
    pass


def _database_error() -> type[Exception]:
    """The database's errors, without loading the database to learn them: `--help` needs none."""
    loaded = sys.modules.get("apsw")
    return _Never if loaded is None else loaded.Error


def main(args: list[str] | None = None) -> None:
    """Run the command and exit with its code. Errors become words here, and only here."""
    code: str | int | None = UNEXPECTED_EXIT
    gc.set_threshold(_COLLECT_EVERY)
    terminal.prepare_streams()
    try:
        result = cli.main(args=args, prog_name="holdfast", standalone_mode=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except HoldfastError as exc:
        terminal.error(str(exc), exc.hint)
        code = exc.exit_code
    except click.ClickException as exc:
        terminal.usage_error(exc)
        code = exc.exit_code
    except (click.Abort, KeyboardInterrupt):
        terminal.error(
            "interrupted", "nothing recorded is lost; the same command goes on where this one stopped"
        )
        code = INTERRUPT_EXIT
    except SystemExit as exc:  # click's answer to a pipe that was closed
        code = 0 if type(sys.stdout).__name__ == "PacifyFlushWrapper" else exc.code
    except BrokenPipeError:  # the reader of our output left; that is its right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except _database_error() as exc:
        terminal.error(
            f"the store cannot be read: {exc}",
            "`holdfast rebuild` folds the journal into a new one; nothing is lost",
        )
        code = StoreError.exit_code
    except (OSError, MemoryError, ImportError) as exc:  # a library that finds no memory is an ImportError
        why = "out of memory" if isinstance(exc, MemoryError) else str(exc)
        terminal.error(why, "nothing recorded is lost; `holdfast doctor` looks for causes")
        code = HoldfastError.exit_code
    except Exception as exc:
        if os.environ.get("HOLDFAST_DEBUG"):
            raise
        terminal.error(
            f"{type(exc).__name__}: {exc}",
            "this is a bug in Holdfast; HOLDFAST_DEBUG=1 shows where. Nothing recorded is lost",
        )
    sys.exit(code)
