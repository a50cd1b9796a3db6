"""What each tool does with definitions of agents: where it looks, who wins, what a definition needs. Data, and where each fact is from.

Claude Code: code.claude.com/docs/en/sub-agents as of 2026-09 (scopes, nested directories, plugins, fields, names with `:`), and of before and
after 2026-04-01 for the two orders of tiers. What happens to a file whose front matter is no YAML, at 2.1.259: anthropics/claude-code#91871.
Codex: developers.openai.com/codex/subagents, and codex-rs/core/src/config/agent_roles.rs of openai/codex for what the page leaves open: which of two
files counts, what is passed over with a warning, and the limits.
`custom` stands for tools that look for agents in a project, then with the user, then in their own package, and know them by the name of the file.

When a definition is read. Claude Code: as its session begins, by the same page until about 2026-06; since then the page says that directories are
watched and a change counts within seconds, and anthropics/claude-code#75432, #90054 and #92001 say that in 2.1.202 to 2.1.247 it did not.
Codex: its text when an agent starts (codex-rs/core/src/agent/role.rs), which files there are when the session begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Final

CLAUDE: Final = "claude"
CODEX: Final = "codex"
CUSTOM: Final = "custom"

MANAGED: Final = "managed"
COMMAND_LINE: Final = "command-line"
PROJECT: Final = "project"
USER: Final = "user"
PLUGIN: Final = "plugin"
SYSTEM: Final = "system"
BUILT_IN: Final = "built-in"
TIERS: Final = (MANAGED, COMMAND_LINE, PROJECT, USER, PLUGIN, SYSTEM, BUILT_IN)

_KIB = 1024
_EPOCH = date(1970, 1, 1)
LATEST: Final = date.max  # the order that is known last


@dataclass(frozen=True, slots=True)
class Order:
    """Tiers, the strongest first, as a tool has them from a day on."""

    valid_from: date
    tiers: tuple[str, ...]


AT_SESSION: Final = "session"
AT_AGENT: Final = "agent"


@dataclass(frozen=True, slots=True)
class Reads:
    """When a tool reads the text of a definition, from a day on.

    Attributes:
        when: `session`: as the session's process begins; `agent`: as the agent starts.
        certain: False: its documents say otherwise than reports of what it does.
    """

    valid_from: date
    when: str
    certain: bool = True


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        name: as sessions name their source.
        title: for people.
        suffixes: of files that may be definitions.
        orders: the newest last.
        named_by_file: a definition without a name has that of its file; otherwise it is passed over.
        duplicates: which of two in one directory counts: `path` (the first by path, documented), `unknown`.
        required: keys without which it is passed over.
        known: keys that mean something to it.
        texts: keys whose value is text.
        choices: keys that take one of a few values.
        tools: names of tools that it has; empty: not known.
        former_tools: names of tools that it had, and what does their work.
        models: aliases of models; what else a model's name may begin with stands in `model_begins`.
        body_key: the key that holds what the agent is told, where it is not the text behind the front matter.
        most_bytes: of a file that it reads.
        most_body_bytes: of what the agent is told.
        not_in_plugins: keys that it ignores in a plugin.
        unseen: tiers that are in no file, and what is there.
        inner: where a project's definitions lie in it, where the tool says so.
        built_in: names of agents that it brings along, in any version.
        reads: when it reads a definition, the newest last; empty: not known.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    orders: tuple[Order, ...]
    named_by_file: bool = False
    duplicates: str = "unknown"
    required: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tools: frozenset[str] = frozenset()
    former_tools: dict[str, str] = field(default_factory=dict)
    models: frozenset[str] = frozenset()
    model_begins: tuple[str, ...] = ()
    body_key: str | None = None
    most_bytes: int | None = None
    most_body_bytes: int | None = None
    not_in_plugins: frozenset[str] = frozenset()
    unseen: tuple[tuple[str, str], ...] = ()
    inner: str | None = None
    built_in: frozenset[str] = frozenset()
    reads: tuple[Reads, ...] = ()

    def tiers(self, day: date) -> tuple[str, ...]:
        """Its tiers on a day, the strongest first."""
        return max(
            (order for order in self.orders if order.valid_from <= day), key=lambda order: order.valid_from
        ).tiers

    def project_of(self, root: str) -> str:
        """The project that keeps this directory of definitions."""
        if self.inner is not None and root.endswith(f"/{self.inner}"):
            return root[: -len(self.inner) - 1] or "/"
        return root.rpartition("/")[0] or "/"

    def reads_on(self, day: date) -> Reads | None:
        """When it reads a definition, on a day; None: that is not known."""
        known = [reads for reads in self.reads if reads.valid_from <= day]
        return max(known, key=lambda reads: reads.valid_from) if known else None


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CLAUDE = Tool(
    name=CLAUDE,
    title="Claude Code",
    suffixes=(".md",),
    orders=(
        Order(_EPOCH, (COMMAND_LINE, MANAGED, PROJECT, USER, PLUGIN, BUILT_IN)),
        Order(date(2026, 4, 2), (MANAGED, COMMAND_LINE, PROJECT, USER, PLUGIN, BUILT_IN)),
    ),
    required=("name", "description"),
    known=_words(
        "name description tools disallowedTools model permissionMode maxTurns skills mcpServers hooks memory background effort isolation "
        "color initialPrompt omitClaudeMd observer experimental"
    ),
    texts=_words("name description model permissionMode memory effort isolation color initialPrompt"),
    choices={
        "permissionMode": (
            "default",
            "acceptEdits",
            "auto",
            "dontAsk",
            "bypassPermissions",
            "plan",
            "manual",
        ),
        "memory": ("user", "project", "local"),
        "effort": ("low", "medium", "high", "xhigh", "max"),
        "isolation": ("worktree",),
        "color": ("red", "blue", "green", "yellow", "purple", "orange", "pink", "cyan"),
    },
    tools=_words(
        "Agent AskUserQuestion Bash BashOutput CronCreate CronDelete CronList Edit EndConversation EnterPlanMode EnterWorktree ExitPlanMode "
        "ExitWorktree Glob Grep KillBash KillShell LSP ListMcpResourcesTool Monitor NotebookEdit PowerShell Read ReadMcpResourceTool "
        "ScheduleWakeup SendMessage Skill SlashCommand StructuredOutput Task TaskCreate TaskGet TaskList TaskOutput TaskStop TaskUpdate "
        "TeamCreate TeamDelete TodoWrite ToolSearch WaitForMcpServers WebFetch WebSearch Workflow Write"
    ),
    former_tools={"LS": "Glob", "MultiEdit": "Edit", "NotebookRead": "Read"},
    models=_words("sonnet opus haiku fable inherit opusplan default"),
    model_begins=("claude-", "anthropic", "us.", "eu.", "apac.", "global.", "arn:"),
    not_in_plugins=_words("hooks mcpServers permissionMode"),
    unseen=(
        (COMMAND_LINE, "what is passed with --agents or --add-dir, or by a program that uses the SDK"),
        (BUILT_IN, "the agents that Claude Code brings along"),
    ),
    inner=".claude/agents",
    built_in=_words(
        "claude claude-code-guide Explore general-purpose output-style-setup Plan statusline-setup"
    ),
    reads=(Reads(_EPOCH, AT_SESSION), Reads(date(2026, 7, 1), AT_SESSION, certain=False)),
)
_CODEX = Tool(
    name=CODEX,
    title="Codex",
    suffixes=(".toml",),
    orders=(Order(_EPOCH, (PROJECT, USER, SYSTEM, BUILT_IN)),),
    duplicates="path",
    required=("name", "description", "developer_instructions"),
    known=_words(
        "name description developer_instructions nickname_candidates model model_provider model_reasoning_effort model_reasoning_summary "
        "model_verbosity sandbox_mode sandbox_workspace_write approval_policy mcp_servers skills tools web_search features profile permissions "
        "service_tier model_instructions_file instructions personality"
    ),
    texts=_words("name description developer_instructions model model_reasoning_effort sandbox_mode"),
    choices={
        "model_reasoning_effort": ("none", "minimal", "low", "medium", "high", "xhigh", "max"),
        "sandbox_mode": ("read-only", "workspace-write", "danger-full-access"),
    },
    body_key="developer_instructions",
    most_bytes=64 * _KIB,
    most_body_bytes=32 * _KIB,
    unseen=(
        (PROJECT, "roles that a config.toml declares under [agents]"),
        (BUILT_IN, "the roles that Codex brings along"),
    ),
    inner=".codex/agents",
    built_in=_words("default explorer worker"),
    reads=(Reads(_EPOCH, AT_AGENT),),
)
_CUSTOM = Tool(
    name=CUSTOM,
    title="custom",
    suffixes=(".md", ".toml", ".py", ".json", ".yaml", ".yml"),
    orders=(Order(_EPOCH, (PROJECT, USER, SYSTEM)),),
    named_by_file=True,
)
TOOLS: Final = {tool.name: tool for tool in (_CLAUDE, _CODEX, _CUSTOM)}


def of_source(source: str) -> str:
    """Whose definitions the agents of a source's sessions are."""
    return source if source in (CLAUDE, CODEX) else CUSTOM
