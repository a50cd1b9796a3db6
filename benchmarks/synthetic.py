"""Claude Code transcripts of any size, made from nothing: the same number gives the same bytes.

Shape, all of it drawn from one seeded generator: sessions of a log-normal size (half of them below 650 rows, the mean near
2,000, none above 12,000), each with zero to five subagents in files of their own that hold a third of its work; turns of
a prompt, some steps (a model call, often with text, that asks for a tool, and its result) and a closing message, 6 to 10
rows a turn; one call in 25 fails, one in 200 is denied, one session in 40 breaks off in the middle of a call, one turn in
60 hits an API error. Lines are about 1 KB (prompts 40 to 900 characters, tool results 20 to 3,000, mostly short), times are
spread over the 60 days before `END`, five models, seven tools. One more session has exactly 10,000 spans: its agents,
turns, model and tool calls together.

A row is what the store keeps as `span`, `llm` or `event`.
"""

from __future__ import annotations

import json
import os
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


END = "2026-11-20T18:00:00Z"
DAYS = 60
LARGE_SPANS = 10_000
_END_US = int(datetime.fromisoformat(END).timestamp()) * 1_000_000
_MEDIAN_ROWS, _SPREAD, _MOST_ROWS, _FEWEST_ROWS = 650, 1.5, 12_000, 25
_MODELS = (
    "claude-opus-4-5-20251101",
    "claude-sonnet-4-5-20250929",
    "claude-haiku-4-5-20251001",
    "claude-opus-4-1-20250805",
    "unlisted-model-1",
)
_MODEL_WEIGHTS = (40, 35, 20, 4, 1)
_TOOLS = ("Bash", "Read", "Edit", "Grep", "Write", "Glob", "WebFetch")
_TOOL_WEIGHTS = (35, 25, 20, 8, 5, 4, 3)
_AGENT_TYPES = ("general-purpose", "Explore", "code-reviewer", "test-runner")
_TEXT = """
the test fails because fixture returns a stale path so we should look at module loader first then change
parser to accept both spellings and add a case for empty input def handle request return value error import
config session store query index commit branch merge rebase line file token count cost model agent tool
"""
_WORDS = _TEXT.split()


class _Texts:
    """Slices of one long text: cheap, and different enough that nothing repeats exactly."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        words = [
            chance.choice(_WORDS) + chance.choice(("", "", "", "_" + chance.choice(_WORDS)))
            for _ in range(60_000)
        ]
        self._text = " ".join(words)

    def cut(self, low: int, high: int) -> str:
        length = int(low * (high / low) ** (self._chance.random() ** 2))
        at = self._chance.randrange(len(self._text) - length)
        return self._text[at : at + length]


class _Stream:
    """The lines of one file: the main agent's or a subagent's."""

    def __init__(self, made: _Session, agent: str) -> None:
        self.made, self.agent = made, agent
        self.lines: list[str] = []
        self.rows = self.spans = 0
        self._parent = "null"
        self._model = made.chance.choices(_MODELS, _MODEL_WEIGHTS)[0]

    def _line(self, kind: str, rest: str) -> str:
        made = self.made
        uuid = made.uuid()
        agent = f'"agentId":"{self.agent}",' if self.agent else ""
        self.lines.append(
            f'{{"parentUuid":{self._parent},"isSidechain":{"true" if self.agent else "false"},{agent}"userType":"external",'
            f'"cwd":"{made.cwd}","sessionId":"{made.id}","version":"2.1.330","gitBranch":"{made.branch}","type":"{kind}",'
            f'{rest},"uuid":"{uuid}","timestamp":"{made.tick()}"}}\n'
        )
        self._parent = f'"{uuid}"'
        return uuid

    def prompt(self) -> None:
        text = self.made.texts.cut(40, 900)
        self._line("user", f'"message":{{"role":"user","content":"{text}"}}')
        self.rows += 1
        self.spans += not self.agent

    def _assistant(self, message: str, block: str, stop: str, figures: str) -> None:
        self._line(
            "assistant",
            f'"message":{{"model":"{self._model}","id":"{message}","type":"message","role":"assistant","content":[{block}],'
            f'"stop_reason":{stop},"stop_sequence":null,"usage":{figures}}},"requestId":"req_{message[4:]}"',
        )

    def call(self, *, tool: str | None, text: bool, stop: str) -> str:
        """One model call: maybe words, maybe a tool; returns the tool call's id."""
        made, chance = self.made, self.made.chance
        message = made.native("msg")
        figures = (
            f'{{"input_tokens":{chance.randrange(3, 900)},"cache_creation_input_tokens":{chance.randrange(200, 9_000)},'
            f'"cache_read_input_tokens":{chance.randrange(9_000, 150_000)},"output_tokens":{chance.randrange(8, 1_500)},"service_tier":"standard"}}'
        )
        self.rows += 1
        self.spans += 1
        if text or tool is None:
            self._assistant(
                message,
                f'{{"type":"text","text":"{made.texts.cut(30, 2_000)}"}}',
                "null" if tool else stop,
                figures,
            )
            self.rows += 1
        if tool is None:
            return ""
        call = made.native("toolu")
        self._assistant(
            message,
            f'{{"type":"tool_use","id":"{call}","name":"{tool}","input":{made.given(tool)}}}',
            stop,
            figures,
        )
        self.rows += 1
        self.spans += 1
        return call

    def result(self, call: str, details: str = "") -> None:
        made, chance = self.made, self.made.chance
        luck = chance.random()
        text, bad, more = made.texts.cut(20, 3_000), "", details
        if luck < 0.005:
            text, bad, more = "The user doesn't want to proceed with this tool use.", ',"is_error":true', ""
        elif luck < 0.045:
            text, bad, more = f"Exit code 1\\n{text}", ',"is_error":true', ""
        self._line(
            "user",
            f'"message":{{"role":"user","content":[{{"tool_use_id":"{call}","type":"tool_result","content":"{text}"{bad}}}]}}{more}',
        )

    def steps(self, number: int) -> None:
        for _ in range(number):
            tool = self.made.chance.choices(_TOOLS, _TOOL_WEIGHTS)[0]
            self.result(self.call(tool=tool, text=self.made.chance.random() < 0.3, stop='"tool_use"'))

    def close(self) -> None:
        if self.made.chance.random() < 1 / 60:
            self._line("system", '"subtype":"api_error","content":"529 overloaded"')
            self.rows += 1
        self.call(tool=None, text=True, stop='"end_turn"')
        if not self.agent:
            self._line(
                "system",
                f'"subtype":"turn_duration","durationMs":{self.made.chance.randrange(4_000, 400_000)}',
            )
            self.rows += 1


class _Session:
    def __init__(self, number: int, chance: random.Random, texts: _Texts, rows: int) -> None:
        self.chance, self.texts = chance, texts
        self.id = self.uuid()
        self.cwd = f"/home/dev/project-{number % 23}"
        self.branch = f"work/{number % 7}"
        length_us = min(rows * 7_000_000, 3 * 86_400_000_000)
        self._now_us = _END_US - int(chance.random() * DAYS * 86_400_000_000) - length_us
        self.files: dict[str, list[str]] = {}
        self._agents = 0
        self.main = _Stream(self, "")
        self.others_rows = self.others_spans = 0

    def uuid(self) -> str:
        h = f"{self.chance.getrandbits(128):032x}"
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"

    def native(self, prefix: str) -> str:
        return f"{prefix}_01{self.chance.getrandbits(108):027x}"

    def tick(self) -> str:
        self._now_us += self.chance.randrange(300_000, 12_000_000)
        moment = datetime.fromtimestamp(self._now_us // 1_000_000, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{self._now_us // 1_000 % 1_000:03d}Z"

    def given(self, tool: str) -> str:
        if tool in {"Read", "Edit", "Write"}:
            path = f"{self.cwd}/src/{self.chance.choice(_WORDS)}/{self.chance.choice(_WORDS)}.py"
            old = (
                f',"old_string":"{self.texts.cut(20, 500)}","new_string":"{self.texts.cut(20, 500)}"'
                if tool != "Read"
                else ""
            )
            return f'{{"file_path":"{path}"{old}}}'
        key = {"Bash": "command", "WebFetch": "url"}.get(tool, "pattern")
        return f'{{"{key}":"{self.texts.cut(12, 300)}","description":"{self.texts.cut(15, 60)}"}}'

    @property
    def rows(self) -> int:
        return self.main.rows + self.others_rows

    @property
    def spans(self) -> int:
        """Nodes of its tree: agents, turns, model calls, tool calls."""
        return self.main.spans + self.others_spans + self._agents + 1

    def subagent(self, steps: int) -> None:
        """The main agent hands out a task and waits for it."""
        kind = self.chance.choice(_AGENT_TYPES)
        agent = f"a{self.chance.getrandbits(64):016x}"
        task = self.texts.cut(15, 60)
        given = f'{{"description":"{task}","prompt":"{self.texts.cut(100, 900)}","subagent_type":"{kind}"}}'
        self.given, plain = (lambda _: given), self.given  # type: ignore[method-assign]
        call = self.main.call(tool="Agent", text=False, stop='"tool_use"')
        self.given = plain  # type: ignore[method-assign]
        stream = _Stream(self, agent)
        stream.prompt()
        stream.steps(steps)
        stream.close()
        self.main.result(
            call,
            f',"toolUseResult":{{"status":"completed","agentId":"{agent}","totalDurationMs":{steps * 9_000}}}',
        )
        self._agents += 1
        self.others_rows += stream.rows
        self.others_spans += stream.spans
        meta = {"agentType": kind, "description": task, "toolUseId": call, "spawnDepth": 1, "finished": True}
        self.files[f"{self.id}/subagents/agent-{agent}.jsonl"] = stream.lines
        self.files[f"{self.id}/subagents/agent-{agent}.meta.json"] = [json.dumps(meta)]

    def turn(self) -> None:
        self.main.prompt()
        self.main.steps(self.chance.randrange(1, 4))
        self.main.close()

    def write(self, into: Path) -> None:
        self.files[f"{self.id}.jsonl"] = self.main.lines
        project = into / self.cwd.replace("/", "-")
        (project / self.id / "subagents").mkdir(parents=True, exist_ok=True)
        for name, lines in self.files.items():
            path = project / name
            path.write_text("".join(lines), encoding="ascii")
            os.utime(path, ns=(self._now_us * 1000, self._now_us * 1000))


def _filled(made: _Session, rows: int) -> _Session:
    """Work until there are about so many rows; a third of it by subagents."""
    agents = made.chance.randrange(6) if rows > 100 else 0
    share = rows // 3 // agents if agents else 0
    for number in range(agents):
        while made.main.rows < rows * 2 // 3 * number // agents:
            made.turn()
        made.main.prompt()
        made.subagent(max(1, round(share / 2.3)))
        made.main.close()
    while made.rows < rows:
        made.turn()
    if made.chance.random() < 1 / 40:
        made.main.prompt()
        made.main.call(tool="Bash", text=True, stop='"tool_use"')
    return made


def _large(chance: random.Random, texts: _Texts) -> _Session:
    """The session with exactly `LARGE_SPANS` spans."""
    made = _Session(0, chance, texts, 15_000)
    for _ in range(20):
        made.main.prompt()
        made.subagent(150)
        made.main.close()
    while made.spans < LARGE_SPANS - 12:
        made.turn()
    while made.spans < LARGE_SPANS:
        made.main.call(tool=None, text=True, stop='"end_turn"')
    return made


def write(into: Path, rows: int) -> tuple[str, int, int]:
    """Write sessions with at least so many rows in all; returns the large session's id, the number of sessions, and of rows."""
    chance = random.Random(20_261_121)
    texts = _Texts(chance)
    large = _large(chance, texts)
    large.write(into)
    total, sessions = large.rows, 1
    while total < rows:
        wanted = int(min(_MOST_ROWS, max(_FEWEST_ROWS, chance.lognormvariate(0, _SPREAD) * _MEDIAN_ROWS)))
        made = _filled(_Session(sessions, chance, texts, wanted), wanted)
        made.write(into)
        total, sessions = total + made.rows, sessions + 1
    return large.id, sessions, total
