"""Holdfast keeps hold of what your AI agents did.

`record` is the door for your own programs:

    import holdfast
    holdfast.record("decision.made", agent="planner", question="Which store?", selected="SQLite")

`deploy` asks for an agent, `status` and `list` say what became of it:

    asked = holdfast.deploy(["python", "worker.py"], agent_id="L2.2.1", parent="L1.1")
    holdfast.status("L2.2.1").progress

`Definitions` says what an agent is told in a directory, and of which revision that is:

    agents = holdfast.Definitions()
    agents.prompt("reviewer", variables={"branch": "main"}).text

It writes them too, and only over what was read:

    read = agents.get("reviewer")
    agents.put("reviewer", read.text.replace("opus", "haiku"), base=read.sha256)
"""

from holdfast.client import AgentStatus, Deployment, deploy, status
from holdfast.client import listed as list  # noqa: A004 - what it lists stands before the dot
from holdfast.definition_answers import (
    ConflictRecord,
    Definition,
    DefinitionChange,
    HiddenFile,
    Prompt,
    WrittenFile,
)
from holdfast.definitions_client import Definitions
from holdfast.door import record
from holdfast.release import __version__

__all__ = [
    "AgentStatus",
    "ConflictRecord",
    "Definition",
    "DefinitionChange",
    "Definitions",
    "Deployment",
    "HiddenFile",
    "Prompt",
    "WrittenFile",
    "__version__",
    "deploy",
    "list",
    "record",
    "status",
]
