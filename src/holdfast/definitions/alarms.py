"""What is to be told of the text that an agent ran with. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from holdfast.definitions import tools
from holdfast.definitions.effective import BUILT_IN, FILE
from holdfast.definitions.findings import NOTE, WARNING, Finding, in_order
from holdfast.definitions.parse import parted
from holdfast.definitions.past import INFERRED, OBSERVED
from holdfast.definitions.tiers import is_much_larger
from holdfast.definitions.validate import INVALID
from holdfast.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.definitions.effective import Effective, Stand
    from holdfast.definitions.parse import Parsed
    from holdfast.definitions.past import Revision

CONTRADICTED: Final = "contradicted"
_SHOWN: Final = 8  # digits of a hash
_ALWAYS_THERE: Final = frozenset(  # tools that an agent may have whatever its definition lists
    {
        "ExitPlanMode",
        "ListMcpResourcesTool",
        "ReadMcpResourceTool",
        "SendMessage",
        "Skill",
        "StructuredOutput",
        "ToolSearch",
    }
)
_WITH_BACKGROUND: Final = frozenset(  # that read and stop what a command or an agent does in the background
    {"BashOutput", "KillShell", "Monitor", "TaskOutput", "TaskStop"}
)
_WITH_MEMORY: Final = frozenset(
    {"Read", "Write", "Edit"}
)  # given with the key `memory`, as the documents say
_NO_MODEL: Final = frozenset(
    {"inherit", "default", "opusplan", "best"}
)  # names that leave open which one runs
_OTHER_MODEL: Final = {  # what it is worth that another model ran, by tool
    tools.CLAUDE: (NOTE, "a call, or CLAUDE_CODE_SUBAGENT_MODEL, may say another one"),
    tools.CODEX: (WARNING, "no call can ask for another one: look whether that text is what ran"),
}
_PROFILE: Final = "arn:"  # begins the name of a profile, which leaves it open too


@dataclass(frozen=True, slots=True)
class Ran:
    """What is recorded of an agent's run, as far as its definition says something of it.

    Attributes:
        at_work: whether it is at work now.
        goes_on: whether its session is, and its tool would start it again with the text that the session has.
        models: that it ran on; () unknown.
        tools: of which it completed a call.
    """

    at_work: bool = False
    goes_on: bool = False
    models: tuple[str, ...] = ()
    tools: frozenset[str] = field(default_factory=frozenset)


def doubted(found: Effective, tool: str, ran: Ran, parsed: Parsed | None) -> Effective:
    """The same, less sure, where the agent did what its text does not let it do: another one must have run."""
    if tool != tools.CLAUDE or parsed is None or not any(_tools(parsed, ran)):
        return found
    why = "this text lay there, but does not give it a tool that it used"
    return replace(found, grade=INFERRED, rule=CONTRADICTED, why=why)


def alarms(
    found: Effective, tool: str, ran: Ran, now: Stand | None, parsed: Parsed | None
) -> tuple[Finding, ...]:
    """What is to be told of one run.

    Args:
        found: what it ran with.
        tool: whose agent it is.
        ran: what it did.
        now: which file counts today, seen from the same directory; None: that is not known.
        parsed: what the text says that it ran with; None: it is not there, or ran from no file.
    """
    out = [*_changed(found, ran, now), *_hiding(found)]
    if found.origin == BUILT_IN and found.shadowed:
        title = tools.TOOLS[tool].title
        text = f"{title} ran the agent that it brings along, though {_shown(found.shadowed[0])} lay there"
        out.append(
            Finding(WARNING, "built-in-ran", text, "look whether its directory counts in that session")
        )
    if parsed is not None and tool in _OTHER_MODEL:
        out += _model(parsed, ran, tool)
    if parsed is not None and tool == tools.CLAUDE:
        out += _tools(parsed, ran)
    return in_order(out)


def _changed(found: Effective, ran: Ran, now: Stand | None) -> Iterator[Finding]:
    """That another text lies there than it ran with, or that it may have run with another: in one finding."""
    if found.origin != FILE or found.revision is None:
        return
    text = " or ".join(short(one.sha256) for one in (found.revision, *found.either))
    why = " (its file changed after its session began)" if found.either else ""
    known = "" if found.grade == OBSERVED or found.either else ", as far as is known"
    what = None if now is None else _other(found, now)
    if what is not None and ran.at_work:
        text = f"it is at work on {text}{why or ', an older text'}{known}: {what}"
        yield Finding(WARNING, "stale", text, "start its session again to have it work with what lies there")
    elif what is not None and ran.goes_on:
        text = f"its session goes on with {text}{why or ', an older text, as far as is known'}: {what}"
        yield Finding(WARNING, "stale-session", text, "start the session again before its next agent")
    elif found.either:
        text = f"it ran with {text}{why}" + ("" if what is None else f"; {what}")
        yield Finding(WARNING, "maybe-other", text, "a session that begins after a change surely has it")
    elif what is not None:
        yield Finding(NOTE, "changed-since", f"it ran with {text}{known}, and {what}")


def _other(found: Effective, now: Stand) -> str | None:
    """What lies there today, where it is something else than it ran with."""
    lies = now.options[0] if len(now.options) == 1 else None
    if lies is None:
        return (
            "which file counts now cannot be told" if now.options else "no file with its name counts any more"
        )
    if lies.sha256 == found.sha256:
        return None
    if found.revision is not None and lies.path == found.revision.path:
        return f"its file holds {short(lies.sha256)} now"
    return f"{_shown(lies)} counts now, with {short(lies.sha256)}"


def _hiding(found: Effective) -> Iterator[Finding]:
    """What the text hid at that moment: a larger one, or one that was valid where itself was not."""
    one = found.revision
    if one is None or found.origin != FILE:
        return
    for hidden in found.shadowed:
        if hidden.sha256 == one.sha256:
            continue
        if is_much_larger(hidden.size_bytes or 0, one.size_bytes or 0):
            text = f"with {one.size_bytes or 0:,} bytes it hid {_shown(hidden)}, {hidden.size_bytes or 0:,} bytes"
            yield Finding(WARNING, "hides-larger", text, f"remove {visible(one.path)}, or fill it")
        if one.validity == INVALID and hidden.validity not in (None, INVALID):
            text = f"it was invalid, and hid {_shown(hidden)}, which was not"
            yield Finding(WARNING, "hides-valid", text, "repair or remove it")


def _model(parsed: Parsed, ran: Ran, tool: str) -> Iterator[Finding]:
    """Whether it ran on another model than its text says."""
    if not parsed.model or (said := _plain_model(parsed.model)) in _NO_MODEL or said.startswith(_PROFILE):
        return
    others = [model for model in ran.models if said not in (name := _plain_model(model)) and name not in said]
    if not others:
        return
    text = f"its definition says model {visible(parsed.model)[:60]}, and it ran on {_listed(others)}"
    level, hint = _OTHER_MODEL[tool]
    yield Finding(level, "other-model", text, hint)


def _plain_model(name: str) -> str:
    """A model's name without what providers and tools put behind it: `claude-sonnet-4-5@20250929`, `opus[1m]`, `…-latest`."""
    return name.lower().removesuffix("[1m]").replace("@", "-").removesuffix("-latest")


def _tools(parsed: Parsed, ran: Ran) -> Iterator[Finding]:
    """Whether it used a tool that its text does not give it, so that another text must have run."""
    hint = "what ran is not what this text says"
    if parsed.tools is not None and "*" not in parsed.tools:
        given = _given(parsed.tools, has_memory="memory" in parsed.fields)
        if own := {name for name in ran.tools - given if not name.startswith("mcp__")}:
            text = f"its definition does not list {_listed(own)}, which it used"
            yield Finding(WARNING, "other-tools", text, hint)
    denied = parsed.fields.get("disallowedTools")
    if denied is not None and isinstance(denied.value, str | list):
        names = parted(denied.value) if isinstance(denied.value, str) else map(str, denied.value)
        if used := ran.tools & _named(name for name in names if "(" not in name):
            yield Finding(
                WARNING, "other-tools", f"its definition denies it {_listed(used)}, which it used", hint
            )


def _given(listed: Iterable[str], *, has_memory: bool) -> set[str]:
    """Tools that an agent has by what its definition lists: also those that come with them, and by their names of today."""
    out = _named(listed)
    out |= {now for former, now in tools.TOOLS[tools.CLAUDE].former_tools.items() if former in out}
    out |= _WITH_BACKGROUND if out & {"Agent", "Bash"} else set()
    return out | _ALWAYS_THERE | (_WITH_MEMORY if has_memory else set())


def _named(names: Iterable[str]) -> set[str]:
    """Tools without what stands in brackets behind them; `Task` and `Agent` are one."""
    out = {name.partition("(")[0].strip() for name in names}
    return out | ({"Task", "Agent"} if out & {"Task", "Agent"} else set())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(visible(name)[:60] for name in sorted(names)[:5])


def short(sha256: str | None) -> str:
    """A hash as people read it."""
    return "an unknown text" if sha256 is None else sha256[:_SHOWN]


def _shown(one: Revision) -> str:
    return f"{visible(one.path)} ({one.tier})"
