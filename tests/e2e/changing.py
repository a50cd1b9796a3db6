"""Changes of definitions as people and tools make them, and what of them the service recorded."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

from holdfast import clock, service
from holdfast.journal import reader
from tests.e2e.following import serving, transcript
from tests.waiting import LIMIT_S, until

Json = dict[str, Any]


def text(name: str, more: str = "") -> bytes:
    return f"---\nname: {name}\ndescription: Reads changes\n---\nLook at what was changed.\n{more}\n".encode()


def work_in(directory: Path, number: int = 1) -> None:
    """Have a session that worked in a directory a moment ago."""
    session = f"5b1f0000-0000-4000-8000-{number:012d}"
    entry = {
        "type": "user",
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "sessionId": session,
        "timestamp": clock.iso(clock.now_us()),
        "cwd": str(directory),
        "message": {"role": "user", "content": "go"},
    }
    transcript(session).write_text(json.dumps(entry) + "\n")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Watched:
    """A service that watches, and what it recorded of definitions."""

    def __init__(self, home: Path, process: Any) -> None:
        self.home, self.process = home, process
        self._read: dict[int, int] = {}
        self._told: list[Json] = []
        self.alarms: list[Json] = []
        self.looks: list[Json] = []

    def told(self) -> list[Json]:
        """Every revision that is recorded, in order; `id` is its event's."""
        for item in reader.read(self.home / "journal", self._read):
            self._read[item.segment] = item.end
            assert isinstance(item, reader.Found)
            if item.record.s != "sdk":
                continue
            body = json.loads(item.record.body_bytes() or b"{}")
            if body["kind"].startswith("definition."):  # forgetting what a program recorded takes none of it
                assert body["session"] == "holdfast.definitions"
            if body["kind"] == "definition.revised":
                self._told.append(body["fields"] | {"id": item.record.id})
            elif body["kind"] == "definition.unwatched":
                self.alarms.append(body["fields"])
            elif body["kind"] == "definition.looked":
                self.looks.append(body["fields"])
        return self._told

    def of(self, directory: Path) -> list[tuple[str, str]]:
        """What happened to files in a directory, and below it: (operation, file name)."""
        place = os.path.realpath(directory) + "/"
        return [
            (one["operation"], Path(one["path"]).name)
            for one in self.told()
            if one["path"].startswith(place) or one.get("path_before", "").startswith(place)
        ]

    def until(self, directory: Path, number: int, limit_s: float = LIMIT_S) -> None:
        """Wait until so many changes in a directory are recorded."""
        until(
            lambda: len(self.of(directory)) >= number, f"{number} changes, not {self.of(directory)}", limit_s
        )

    def alarms_of(self, what: str) -> list[bool]:
        """Each alarm that was recorded, whether it says that it is over, once that one is: what is said is recorded a moment later."""
        over = lambda: [one.get("is_over", False) for one in self.alarms if one["what"] == what]  # noqa: E731
        until(lambda: self.told() is not None and True in over(), f"the end of {what}")
        return over()

    def until_holds(self, content: bytes) -> None:
        wanted = sha256(content)
        until(lambda: any(one.get("hash_after") == wanted for one in self.told()), "a content")

    def status(self) -> Json:
        return until(lambda: service.ask(self.home, "status"), "its answer")["definitions"]

    def settle(self) -> None:
        """Wait until everything was looked at twice more, so that what is recorded now is all."""
        wanted = self.status()["scans"] + 3
        until(lambda: self.status()["scans"] >= wanted, "scans")

    def assert_sound(self) -> None:
        """Each change is recorded once, begins where the one before of its file ended, and the last says what lies there."""
        told = self.told()
        by_id = {one["id"]: one for one in told}
        assert len(by_id) == len(told)
        followed = Counter(one.get("previous") for one in told if one.get("previous"))
        assert not [one for one in followed.values() if one > 2]  # a move is followed at both ends
        for one in told:
            before = by_id.get(one.get("previous", ""))
            if one["operation"] in {"modify", "delete", "rename"}:
                assert before is not None, one
                assert before["hash_after"] == one["hash_before"], one
        last: dict[str, Json] = {}
        for one in told:
            last.pop(one.get("path_before", ""), None)
            last[one["path"]] = one
        for path, one in last.items():
            raw = bytes.fromhex(one["path_bytes"]) if "path_bytes" in one else os.fsencode(path)
            with contextlib.suppress(FileNotFoundError):
                assert one.get("hash_after") == sha256(Path(os.fsdecode(raw)).read_bytes()), one
                continue
            assert one["operation"] == "delete", one


@contextlib.contextmanager
def watched(home: Path, *modes: str, directories: int = 0):
    """A service that watches at least so many directories of definitions."""
    with serving(*modes) as process:
        out = Watched(home, process)
        until(lambda: out.status().get("directories", -1) >= directories, "directories")
        yield out


def name_of(agents: Path) -> str:
    """A name of its own for each directory: the same content under the same name elsewhere is one that is restored."""
    return agents.parent.parent.name


# ── what people and tools do. Each: (a service, a directory of definitions) → what must be recorded ──


def created_and_saved(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    own = name_of(agents)
    path = agents / "one.md"
    path.write_bytes(text(own))
    seen.until(agents, 1)
    path.write_bytes(text(own, "two"))
    seen.until(agents, 2)
    path.write_bytes(text(own, "two"))  # the same again
    path.touch()
    path.chmod(0o600)
    path.write_bytes(text(own))
    seen.until(agents, 3)
    path.unlink()
    seen.until(agents, 4)
    return [("create", "one.md"), ("modify", "one.md"), ("restore", "one.md"), ("delete", "one.md")]


def saved_by_renaming(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    own = name_of(agents)
    path = agents / "one.md"
    path.write_bytes(text(own))
    seen.until(agents, 1)
    beside = agents / ".one.md.tmp~"
    beside.write_bytes(text(own, "two"))
    beside.rename(path)
    seen.until(agents, 2)
    path.rename(agents / "one.md~")  # as vim does: the old one beside, a new one, the old one away
    path.write_bytes(text(own, "three"))
    (agents / "one.md~").unlink()
    seen.until(agents, 3)
    return [("create", "one.md"), ("modify", "one.md"), ("modify", "one.md")]


def moved(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    own = name_of(agents)
    (agents / "one.md").write_bytes(text(own))
    seen.until(agents, 1)
    (agents / "inner").mkdir()
    (agents / "one.md").rename(agents / "inner" / "two.md")
    seen.until(agents, 2)
    (agents / "inner").rename(agents / "other")
    seen.until(agents, 3)
    return [("create", "one.md"), ("rename", "two.md"), ("rename", "two.md")]


def moved_in(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    """A directory with others in it, made elsewhere."""
    own = name_of(agents)
    outside = agents.parent.parent / "outside"
    (outside / "deep").mkdir(parents=True)
    for name in ("one", "deep/two"):
        (outside / f"{name}.md").write_bytes(text(f"{own}-{name}"))
    outside.rename(agents / "inside")
    seen.until(agents, 2)
    shutil.rmtree(agents / "inside")
    seen.until(agents, 4)
    return [("create", "two.md"), ("create", "one.md"), ("delete", "two.md"), ("delete", "one.md")]


def made_at_once(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    """The directory was not there, nor the one above it."""
    own = name_of(agents)
    shutil.rmtree(agents.parent)
    seen.settle()
    agents.mkdir(parents=True)
    (agents / "one.md").write_bytes(text(own))
    seen.until(agents, 1)
    agents.parent.rename(agents.parent.with_name("aside"))
    seen.until(agents, 2)
    agents.mkdir(parents=True)
    (agents / "two.md").write_bytes(text(f"{own}-two"))
    seen.until(agents, 3)
    return [("create", "one.md"), ("delete", "one.md"), ("create", "two.md")]


def through_links(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    """The target of a linked file, a file in a linked directory, and a link that is led elsewhere. Of these the scan tells."""
    own = name_of(agents)
    outside = agents.parent.parent / "linked"
    outside.mkdir()
    (outside / "target.md").write_bytes(text(own))
    (outside / "inner").mkdir()
    (outside / "inner" / "two.md").write_bytes(text(f"{own}-two"))
    (agents / "one.md").symlink_to(outside / "target.md")
    (agents / "linked").symlink_to(outside / "inner")
    (agents / "again").symlink_to(agents)  # a loop
    seen.until(outside, 2)
    (outside / "target.md").write_bytes(text(own, "more"))
    seen.until(outside, 3)
    (outside / "inner" / "two.md").write_bytes(text(f"{own}-two", "more"))
    seen.until(outside, 4)
    return []


def of_any_name(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    own = name_of(agents)
    names = [b"caf\xe9.md", b"a b:c.md", "né😀.md".encode(), b"line\nend.md"]
    for at, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(agents) + b"/" + name)).write_bytes(text(f"{own}-{at}"))
    seen.until(agents, 4)
    Path(os.fsdecode(os.fsencode(agents) + b"/" + names[0])).write_bytes(text(f"{own}-0", "more"))
    seen.until(agents, 5)
    told = seen.of(agents)
    assert [operation for operation, _ in told] == ["create"] * 4 + ["modify"]
    return told


def saved_by_vim(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    own = name_of(agents)
    path = agents / "one.md"
    path.write_bytes(text(own))
    seen.until(agents, 1)
    for at, copy in enumerate(("auto", "yes", "no")):
        run(
            "vim",
            "-Nesu",
            "NONE",
            f"+set backup backupdir=. backupcopy={copy}",
            f"+normal Goline {at}",
            "+wq",
            str(path),
        )
        seen.until(agents, 2 + at)
    return [("create", "one.md"), *[("modify", "one.md")] * 3]


def saved_by_sed(seen: Watched, agents: Path) -> list[tuple[str, str]]:
    own = name_of(agents)
    path = agents / "one.md"
    path.write_bytes(text(own))
    seen.until(agents, 1)
    run("sed", "-i", "s/Look/Stare/", str(path))
    seen.until(agents, 2)
    return [("create", "one.md"), ("modify", "one.md")]


def run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)


SCENES = {
    scene.__name__: scene
    for scene in (
        created_and_saved,
        saved_by_renaming,
        moved,
        moved_in,
        made_at_once,
        through_links,
        of_any_name,
        saved_by_sed,
    )
}


def torn_saves(path: Path, number: int) -> set[str]:
    """Save a file as a careless editor does, emptied and then written in two parts with a pause; the last save holds still.

    Returns:
        What lay there long enough to be taken, also where the machine made one of the pauses long.
    """
    held: set[str] = set()

    def lies(content: bytes, pause_s: float) -> None:
        began_s = time.monotonic()
        time.sleep(pause_s)
        if time.monotonic() - began_s > 0.015:  # the service wants it to hold still for longer than that
            held.add(sha256(content))

    for at in range(number):
        whole = text("torn", f"save {at}")
        with path.open("wb", buffering=0) as file:
            lies(b"", 0.004)
            file.write(whole[:30])
            lies(whole[:30], 0.004)
            file.write(whole[30:])
            lies(whole, 0.004 if at % 3 else 0.04)
    held.add(sha256(whole))
    return held
