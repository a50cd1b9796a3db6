"""A made-up history in the layouts of Claude Code 1.0 and early 2.0, as small as it can be and still hold every shape.

`history()` gives the files of one project directory, each a list of records; `write` puts them on disk. Nothing in it was ever
said by anybody.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Record = dict[str, Any]
REFUSED = (
    "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, the "
    "new_string was NOT written to the file). STOP what you are doing and wait for the user to tell you how to proceed."
)
PARALLEL, RESUMED, COSTED, BESIDE, POINTER = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "abcde")


def uuid(session: str, name: str) -> str:
    """The id of a session's line of that name."""
    digits = hashlib.sha256(f"{session[0]} {name}".encode()).hexdigest()
    return "-".join((digits[:8], digits[8:12], f"4{digits[12:15]}", f"8{digits[15:18]}", digits[18:30]))


class Transcript:
    """Writes one session's lines, each a second after the one before."""

    def __init__(self, session: str, version: str, day: str, hour: int = 9) -> None:
        self.records: list[Record] = []
        self._session, self._version, self._day, self._hour = session, version, day, hour
        self._last: dict[str, str] = {}

    def _line(self, kind: str, name: str, chain: str, message: Record, **more: Any) -> None:
        number = len(self.records)
        record = {
            "parentUuid": self._last.get(chain),
            "isSidechain": bool(chain),
            "userType": "external",
            "cwd": "/home/dev/old",
            "sessionId": self._session,
            "version": self._version,
            "gitBranch": "main",
            "type": kind,
            "message": message,
            "uuid": uuid(self._session, name),
            "timestamp": f"{self._day}T{self._hour:02}:{number // 60:02}:{number % 60:02}.000Z",
        }
        self._last[chain] = record["uuid"]
        self.records.append(record | more)

    def follows(self, chain: str, name: str) -> None:
        """Let the chain's next line follow one that is not in the file."""
        self._last[chain] = uuid(self._session, name)

    def says(self, text: str, *, chain: str = "", name: str | None = None, **more: Any) -> None:
        """A user line: a prompt, or what a subagent was told."""
        self._line(
            "user", name or f"{chain} u{len(self.records)}", chain, {"role": "user", "content": text}, **more
        )

    def answers(
        self,
        message: str,
        *blocks: Record,
        chain: str = "",
        output: int = 1,
        stop: str | None = None,
        name: str | None = None,
        **more: Any,
    ) -> None:
        """One assistant line for each block, all with the message's id and usage."""
        for block in blocks:
            usage = {
                "input_tokens": 3,
                "cache_creation_input_tokens": 100,
                "cache_read_input_tokens": 50,
                "output_tokens": output,
                "service_tier": "standard",
            }
            content = {
                "id": f"msg_{message}",
                "type": "message",
                "role": "assistant",
                "model": "claude-opus-4-20250514",
                "content": [block],
                "stop_reason": stop if block is blocks[-1] else None,
                "stop_sequence": None,
                "usage": usage,
            }
            self._line(
                "assistant",
                name or f"{chain} a{len(self.records)}",
                chain,
                content,
                requestId=f"req_{message}",
                **more,
            )

    def returns(
        self,
        call: str,
        text: str,
        *,
        chain: str = "",
        error: bool = False,
        result: Any = None,
    ) -> None:
        """The result of a call; `toolUseResult` is plain text where it failed."""
        block: Record = {"type": "tool_result", "tool_use_id": f"toolu_{call}", "content": text}
        if error:
            block |= {"is_error": True}
        told = result if result is not None else f"Error: {text}" if error else {"stdout": text, "stderr": ""}
        message = {"role": "user", "content": [block]}
        self._line("user", f"{chain} r{len(self.records)}", chain, message, toolUseResult=told)


def text(words: str) -> Record:
    return {"type": "text", "text": words}


def call(name: str, tool: str, **given: Any) -> Record:
    return {"type": "tool_use", "id": f"toolu_{name}", "name": tool, "input": given}


def task(name: str, prompt: str, description: str, **more: Any) -> Record:
    return call(name, "Task", description=description, prompt=prompt, **more)


def finished(tools: int) -> Record:
    """What a `Task` gave back before it named the agent that ran."""
    usage = {"input_tokens": 3, "output_tokens": 9, "cache_read_input_tokens": 50}
    counts = {"totalDurationMs": 4000, "totalTokens": 62, "totalToolUseCount": tools, "usage": usage}
    return {"content": [text("done")], **counts, "wasInterrupted": False}


def parallel() -> list[Record]:
    """Version 1.0.57: three subagents at once, two of them told the same; one that starts another; what cannot be placed."""
    t = Transcript(PARALLEL, "1.0.57", "2025-07-25")
    t.says("Look around")
    t.answers(
        "m1",
        text("I ask three."),
        task("one", "Read the tests", "Tests, first half", subagent_type="reader"),
        task("two", "Improve the docs", "Docs", subagent_type="writer"),
        task("three", "Read the tests", "Tests, second half", subagent_type="reader"),
        output=40,
        stop="tool_use",
    )
    t.says("Read the tests", chain="c1", name="first of one")
    t.says("Improve the docs", chain="c2", name="first of two")
    t.says("  Read the tests\n", chain="c3", name="first of three")
    t.answers("c2m1", text("I delegate."), task("deep", "Count words", "Words"), chain="c2", output=12)
    t.answers("c1m1", call("grep", "Grep", pattern="def test"), chain="c1", output=5, stop="tool_use")
    t.says("Count words", chain="c4", name="first of deep")
    t.answers("c4m1", call("wc", "Bash", command="wc -w *.md"), chain="c4", output=6)
    t.returns("grep", "12 matches", chain="c1")
    t.returns("wc", "wc: no such file", chain="c4", error=True)
    t.answers("c3m1", call("ls", "LS", path="/home/dev/old"), chain="c3", output=4)
    t.answers("c4m2", text("None."), chain="c4", output=2, stop="end_turn")
    t.returns("deep", "None.", chain="c2", result=finished(1))
    t.returns("ls", "a b c", chain="c3")
    t.answers("c1m2", text("Twelve tests."), chain="c1", output=3, stop="end_turn")
    t.answers("c2m2", text("Better now."), chain="c2", output=3)
    t.answers("c3m2", text("Three files."), chain="c3", output=3)
    t.returns("two", "Better now.", result=finished(1))
    t.returns("one", "Twelve tests.", result=finished(1))
    t.returns("three", "Three files.", result=finished(1))
    t.answers("m2", task("refused", "Delete it all", "Clean up"), output=7)
    t.returns("refused", REFUSED, error=True)
    t.says("[Request interrupted by user for tool use]")
    t.says("Go ahead after all")
    t.answers("m3", task("again", "Delete it all", "Clean up"), output=7)
    t.says("Delete it all", chain="c5", name="first of again")
    t.answers("c5m1", call("rm", "Bash", command="rm -r build"), chain="c5", output=5)
    t.returns("rm", "[Request interrupted by user for tool use]", chain="c5", error=True)
    t.returns("again", "Stopped.", result=finished(1))
    t.says("Nobody asked for this", chain="c6", name="first of nobody")
    t.answers("c6m1", text("Very well."), chain="c6", output=2)
    t.follows("c7", "lost with its file")
    t.answers("c7m1", text("Where was I?"), chain="c7", output=2, name="after the lost one")
    t.answers("m4", text("All done."), output=4, stop="end_turn")
    return t.records


def resumed() -> list[Record]:
    """`--resume` in 1.0: a new session whose file begins with the old one's lines, under its own id."""
    copies = [record | {"sessionId": RESUMED} for record in parallel()]
    t = Transcript(RESUMED, "1.0.70", "2025-08-06")
    t.says("And now?", name="resumed prompt")
    t.answers("m5", text("Nothing is left."), output=4, stop="end_turn")
    return copies + t.records


def costed() -> list[Record]:
    """Version 1.0.3: each message says what it cost. Two summaries of other sessions stand at the file's head."""
    t = Transcript(COSTED, "1.0.3", "2025-05-26")
    t.says("Add a config file")
    t.answers(
        "k1",
        call("todo", "TodoWrite", todos=[]),
        output=200,
        stop="tool_use",
        costUSD=0.0125,
        durationMs=2500,
    )
    t.returns("todo", "Todos have been modified", result={"oldTodos": [], "newTodos": []})
    t.answers("k2", text("Added."), output=20, stop="end_turn", costUSD=0.0025, durationMs=900)
    return [
        summary("Tests read, docs improved", parallel()[-1]),
        summary("An early guess", parallel()[3]),
        *t.records,
    ]


def beside() -> list[Record]:
    """Version 2.0.42: subagents have an id and a file of their own beside the session's."""
    t = Transcript(BESIDE, "2.0.42", "2025-11-15")
    t.says("Explore")
    t.answers("d1", task("ex", "Find the door", "Door", subagent_type="Explore"), output=30, stop="tool_use")
    t.returns(
        "ex",
        "Found.",
        result=finished(0) | {"status": "completed", "agentId": "d00d1234", "prompt": "Find the door"},
    )
    t.answers("d2", text("There."), output=5, stop="end_turn")
    return t.records


def beside_agent() -> list[Record]:
    t = Transcript(BESIDE, "2.0.42", "2025-11-15")
    t.says("Find the door", chain="d", name="first of door", agentId="d00d1234")
    t.answers("dd1", text("Found."), chain="d", output=8, stop="end_turn", agentId="d00d1234")
    return t.records


def summary(title: str, leaf: Record) -> Record:
    return {"type": "summary", "summary": title, "leafUuid": leaf["uuid"]}


def history() -> dict[str, list[Record]]:
    """The files of one project directory by name."""
    return {
        f"{PARALLEL}.jsonl": parallel(),
        f"{RESUMED}.jsonl": resumed(),
        f"{COSTED}.jsonl": costed(),
        f"{BESIDE}.jsonl": beside(),
        "agent-d00d1234.jsonl": beside_agent(),
        f"{POINTER}.jsonl": [summary("Where the door is", beside()[-1])],
    }


def lines(records: list[Record]) -> bytes:
    return b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in records)


def write(directory: Path, *names: str) -> Path:
    """Write the files (all, or those named) below a project directory; gives the directory above."""
    project = directory / "projects" / "-home-dev-old"
    project.mkdir(parents=True, exist_ok=True)
    for name, records in history().items():
        if not names or name in names:
            (project / name).write_bytes(lines(records))
    return directory / "projects"
