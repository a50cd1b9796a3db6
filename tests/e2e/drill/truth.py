"""What is true of a session after some of its acts: judged by what was done, not by how it is read afterwards.

It is told in sets: where the world itself does not decide between two words, both are true. That is so of a thing in the moment
between two acts that belong together, and of nothing else.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_TASK = re.compile(r"<task-id>([^<]+)</task-id>")
_BACKGROUND = re.compile(r"running in background with ID: (\w+)")


@dataclass
class Agent:
    """One agent of a session; "" is the main one."""

    seen: bool = False  # in a file of its own
    noted: bool = False  # by a hook, or by what its call returned
    over: bool = False
    half_over: bool = False  # its last words are written, and its tool has not noted yet that it ended
    background: bool = False
    reported: bool = False
    half_reported: bool = False  # the notice is on its way
    open: dict[str, str] = field(default_factory=dict)  # call → tool
    left: set[str] = field(default_factory=set)  # calls without a result that an earlier life left behind
    half_open: set[str] = field(
        default_factory=set
    )  # told by a hook, and not by the transcript, or the other way round
    asks: str | None = None  # for which tool it needs leave
    half_asks: bool = False  # it was answered, and not everybody was told
    unsure: set[str] = field(
        default_factory=set
    )  # calls of one tool of which one needed leave: nothing tells which
    given: str | None = None  # leave for a tool that did not come back yet: hooks do not tell it


@dataclass
class Truth:
    """Where a session stands; `apply` takes in one act after the other."""

    tool: str
    agents: dict[str, Agent] = field(default_factory=lambda: {"": Agent()})
    calls_of: dict[str, str] = field(default_factory=dict)  # call → the agent that it started
    begun: bool = False
    prompted: bool = False  # a turn is open
    half_turn: bool = (
        False  # a hook told of the next turn, or of the end of this one, and the transcript does not yet
    )
    exited: bool = False
    exists: bool = False
    tasks: dict[str, bool] = field(
        default_factory=dict
    )  # commands in the background → whether the end was told
    status: str | None = None  # of its process, as it says
    listed: bool = False
    half_told: bool = False  # leave was given and used, and its process says still that it waits

    def of(self, agent: str) -> Agent:
        return self.agents.setdefault(agent, Agent())

    def apply(self, step: Any) -> None:
        kind, said = step.meaning
        self.exists |= kind in {"line", "hook", "codex", "process"}
        getattr(self, f"_{kind}")(step.agent, said)
        one = self.of(step.agent)
        alike = {call for call, tool in one.open.items() if tool == (one.asks or one.given)}
        one.unsure |= alike if len(alike) > 1 else set()

    def _nothing(self, agent: str, said: Any) -> None:
        pass

    def _process(self, _agent: str, said: str | None) -> None:
        self.status, self.listed, self.half_told = said, said is not None, False

    def _given(self, agent: str, status: str | None) -> None:
        one = self.of(agent)
        one.given, one.asks = one.asks, None
        if status:
            self._process(agent, status)

    # ── Claude Code ──

    def _line(self, agent: str, said: dict[str, Any]) -> None:
        one = self.of(agent)
        one.seen |= said.get("type") in {"user", "assistant", "attachment"}
        message = said.get("message") or {}
        content = message.get("content")
        if said.get("type") == "queue-operation" and said["operation"] == "enqueue":
            self._notice(str(said.get("content")), half=True)
        if said.get("type") == "attachment" and "task-notification" in json.dumps(said["attachment"]):
            self._notice(json.dumps(said["attachment"]), half=False)
        if said.get("type") == "user" and isinstance(content, str):
            self._prompt(agent, content)
        for block in content if isinstance(content, list) else []:
            if block.get("type") == "tool_use":
                one.open[block["id"]] = block["name"]
                one.over = one.half_over = False
                one.half_open.discard(block["id"])
            elif block.get("type") == "tool_result":
                self._result(one, block, said)
        if said.get("type") == "assistant":
            self._answered(agent, message)

    def _prompt(self, agent: str, content: str) -> None:
        self._notice(content, half=False)
        if not agent:
            self.prompted, self.half_turn = True, False
            self.of(agent).left |= self.of(agent).open.keys()

    def _answered(self, agent: str, message: dict[str, Any]) -> None:
        if message.get("stop_reason") == "end_turn":
            if agent:
                self.of(agent).half_over = True
            else:
                self.prompted, self.half_turn = False, False

    def _notice(self, text: str, *, half: bool) -> None:
        for task in _TASK.findall(text):
            if task in self.tasks:
                self.tasks[task] = True
            elif task in self.agents:
                self.of(task).half_reported = True
                self.of(task).reported |= not half

    def _result(self, one: Agent, block: dict[str, Any], said: dict[str, Any]) -> None:
        if one.asks and one.open.get(block["tool_use_id"]) == one.asks:
            one.asks, one.half_asks = None, True
        if one.given and one.open.get(block["tool_use_id"]) == one.given:
            one.given, one.half_asks = None, True
        one.open.pop(block["tool_use_id"], None)
        one.half_open.discard(block["tool_use_id"])
        details = said.get("toolUseResult")
        details = details if isinstance(details, dict) else {}
        child = details.get("agentId") or self.calls_of.get(block["tool_use_id"])
        if child:
            started = self.of(child)
            started.noted = True
            if details.get("status") == "async_launched" or started.background:
                started.background = True
            else:
                started.over = started.reported = started.half_reported = True
        found = _BACKGROUND.search(json.dumps(block.get("content")))
        if found:
            self.tasks[found[1]] = False

    def _meta(self, agent: str, said: dict[str, Any]) -> None:
        one = self.of(agent)
        one.noted = True
        one.background |= said.get("requestShape") == "background"
        self.calls_of[said["toolUseId"]] = agent
        if said.get("finished"):
            one.over, one.half_over = True, False

    def _hook(self, agent: str, said: dict[str, Any]) -> None:
        one, event, call = self.of(agent), said["hook_event_name"], said.get("tool_use_id")
        one.noted = True
        if event == "PreToolUse" and call not in one.open:
            one.half_open.add(call)
            one.open[call] = said["tool_name"]
        elif event in {"PostToolUse", "PostToolUseFailure"}:
            self._came_back(one, call, said)
        elif event == "PermissionRequest":
            one.asks = said["tool_name"]
        elif event == "PostToolBatch":
            one.half_open |= {each["tool_use_id"] for each in said["tool_calls"]} & one.open.keys()
            self.half_told |= one.asks is not None and self.status == "waiting"
            one.asks, one.given, one.half_asks = None, None, False
        elif event == "UserPromptSubmit":
            self.half_turn = not self.prompted
        elif event == "SubagentStop":
            one.half_over = not one.over
        elif event == "SessionEnd":
            self.exited = True

    def _came_back(self, one: Agent, call: str, said: dict[str, Any]) -> None:
        one.half_asks = False
        if one.given == said["tool_name"]:
            one.given = None
        if call in one.open:
            one.half_open.add(call)
            details = said.get("tool_response")
            child = details if isinstance(details, dict) else {}
            if child.get("agentId") and child.get("status") != "async_launched":
                self.of(child["agentId"]).half_reported = True

    # ── Codex ──

    def _locked(self, agent: str, _said: str) -> None:
        self.of(agent).noted = True
        self.listed = True

    def _unlocked(self, agent: str, _said: str) -> None:
        if not agent:
            self.exited, self.listed = True, False

    def _codex(self, agent: str, said: dict[str, Any]) -> None:
        one, payload = self.of(agent), said["payload"]
        kind = payload.get("type")
        one.seen |= bool(agent) or said["type"] != "session_meta"
        if kind == "task_started":
            one.over = False
            one.left |= one.open.keys()
            if not agent:
                self.prompted = True
        elif kind in {"task_complete", "turn_aborted"}:
            one.over = True
            if not agent:
                self.prompted = False
        elif kind in {"function_call", "custom_tool_call", "local_shell_call"}:
            one.open[payload["call_id"]] = payload.get("name") or ""
        elif kind in {"function_call_output", "custom_tool_call_output"}:
            one.open.pop(payload["call_id"], None)
            one.half_open.discard(payload["call_id"])
        elif kind == "item_completed":
            self._item(one, payload["item"])
        elif kind == "agent_message" and not agent and "FINAL_ANSWER" in json.dumps(payload):
            for other in self.agents.values():
                other.half_reported = True

    def _item(self, one: Agent, item: dict[str, Any]) -> None:
        if item.get("id") in one.open:
            one.half_open.add(item["id"])
        child = item.get("agent_thread_id")
        if child:
            self.of(child).noted = True
            if item.get("kind") == "completed":
                self.of(child).half_over = True
                self.of(child).half_reported = True

    # ── what may be said: `alive` is in it whether a process runs, or, where nothing tells, both ──

    def sessions(self, alive: frozenset[bool]) -> set[str]:
        """Where the session may be told to stand."""
        return set().union(*(self._session(alive=one) for one in alive))

    def of_agent(self, name: str, alive: frozenset[bool]) -> set[str]:
        return set().union(*(self._of_agent(self.agents[name], alive=one) for one in alive))

    def of_call(self, name: str, call: str, alive: frozenset[bool]) -> set[str]:
        return set().union(*(self._of_call(self.agents[name], call, alive=one) for one in alive))

    def _session(self, *, alive: bool) -> set[str]:
        background = [agent for name, agent in self.agents.items() if name and agent.background]
        cut = "in_flight" if alive else "interrupted"
        if alive and any(one.asks for one in self.agents.values()):
            return {"waiting"} if self._is_told() else {"waiting", "in_flight"}
        if alive and self.half_told:
            return {"waiting", "in_flight"}
        if alive and any(
            one.half_asks or (one.given and self.status is None) for one in self.agents.values()
        ):
            return {"waiting", "in_flight"}
        if not self.prompted and not any(one.seen for one in self.agents.values()):
            return {"never_started", cut}
        if self.prompted:
            return {cut}
        if any(not one.over and not one.half_over for one in background) and not self.exited:
            return {cut}
        if self.half_turn or any(not one.over or not one.reported for one in background):
            return {cut, "finished"}
        return {"finished"}

    def _of_agent(self, one: Agent, *, alive: bool) -> set[str]:
        if one.over:
            return {"finished"}
        cut = {"in_flight"} if alive else {"interrupted"}
        if alive and self.half_told:
            cut.add("waiting")
        elif alive and one.asks:
            cut = {"waiting"} if self._is_told() else {"waiting", "in_flight"}
        elif alive and (one.half_asks or one.given):
            cut = {"waiting", "in_flight"} if one.half_asks or self.status is None else {"in_flight"}
        if not one.seen:
            cut.add("never_started")
        if one.half_over or one.half_reported:
            cut.add("finished")
        return cut

    def _of_call(self, one: Agent, call: str, *, alive: bool) -> set[str]:
        if call in one.left:
            return {"interrupted"}
        if call in one.unsure:
            return {"unknown", "in_flight" if alive else "interrupted"}
        if self.half_told:
            return {"in_flight", "waiting"} if alive else {"interrupted", "unknown", "never_started"}
        if one.open[call] not in {one.asks, one.given}:
            return {"in_flight"} if alive else {"interrupted"}
        if one.open[call] != one.asks:  # it runs, which nothing but the process tells
            known = {"in_flight"} if self.status == "busy" else {"in_flight", "waiting"}
            return known if alive else {"unknown", "interrupted"}
        if self._is_told():
            return {"waiting"} if alive else {"never_started"}
        return {"waiting", "in_flight"} if alive else {"unknown"}

    def _is_told(self) -> bool:
        """Whether its process says that it waits."""
        return self.status == "waiting"
