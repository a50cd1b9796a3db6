"""The socket of a service: who asks is heard, whatever others do with it, and answered in one line."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
from typing import TYPE_CHECKING

import pytest

from holdfast.store import asking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def listener(tmp_path: Path, clock: Clock) -> Iterator[asking.Listener]:
    made = asking.Listener(tmp_path, clock)
    yield made
    made.close()


@pytest.fixture
def come(tmp_path: Path):
    with contextlib.ExitStack() as stack:

        def connect(said: bytes = b"") -> socket.socket:
            one = stack.enter_context(contextlib.closing(socket.socket(socket.AF_UNIX)))
            one.settimeout(10)
            one.connect(os.fspath(tmp_path / asking.RUN / asking.NAME))
            one.sendall(said)
            return one

        yield connect


def question(word: str) -> bytes:
    return json.dumps({"ask": word}).encode() + b"\n"


def is_readable(listener: asking.Listener) -> bool:
    return bool(select.select([listener.fileno()], [], [], 0)[0])


def test_all_who_wait_are_heard_at_once(listener, come):
    for _ in range(10):
        come(question("catch_up"))
    assert [asker.word for asker in listener.hear()] == ["catch_up"] * 10


def test_questions_that_come_together_are_answered_one_after_the_other(listener, come):
    one = come(question("status") + question("nonsense") + question("stop"))
    answered = []
    while asked := listener.hear():
        assert listener.wait_s == 0  # nothing comes any more by which the next one could be noticed
        answered.append(asked[0].word)
        listener.answer(asked[0], {"to": asked[0].word})
    assert answered == ["status", "stop"]
    lines = [json.loads(line) for line in one.recv(10_000).splitlines()]
    assert [line.get("to", "nothing is known" in str(line)) for line in lines] == ["status", True, "stop"]


def test_a_flood_of_nonsense_is_answered_or_dropped(listener, come):
    come(b"\n" * 60_000)
    come(b"[1]\n{\n\xff\n" + b'{"ask":["status"]}\n')
    good = come(question("status"))
    [asker] = listener.hear()
    listener.answer(asker, {"pid": 1})
    assert json.loads(good.recv(1_000)) == {"pid": 1}


@pytest.mark.parametrize("answer", [{"path": "\udcff"}, {"x": object()}, {"long": "x" * 200_000}])
def test_what_cannot_be_told_is_said_so(listener, come, answer):
    one = come(question("status"))
    listener.answer(listener.hear()[0], answer)
    assert list(json.loads(one.recv(10_000))) == ["error"]


def test_who_is_silent_keeps_nobody_out(listener, come, clock):
    staying = come(question("yield"))
    [asker] = listener.hear()
    asker.stays = True
    listener.answer(asker, {"yielded": True})
    silent = [come() for _ in range(63)]
    assert listener.hear() == []
    come(question("status"))
    assert listener.hear() == []
    assert not is_readable(listener)  # it need not look again and again
    assert 0 < listener.wait_s <= asking.SILENT_S
    clock.now_s += asking.SILENT_S
    listener.hear()
    assert [one.word for one in listener.hear()] == ["status"]
    assert listener.is_there(asker)
    assert silent[0].recv(1) == b""
    staying.close()
    listener.hear()
    assert not listener.is_there(asker)


def test_a_lack_of_descriptors_is_waited_for(listener, come, clock):
    one = come(question("status"))
    free = os.dup(0)
    os.close(free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        assert listener.hear() == []
        assert not is_readable(listener)
        assert 0 < listener.wait_s < asking.SILENT_S
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    clock.now_s += listener.wait_s
    [asker] = listener.hear()
    listener.answer(asker, {"pid": 1})
    assert json.loads(one.recv(1_000)) == {"pid": 1}


def test_a_successor_s_socket_stays(tmp_path, come):
    first = asking.Listener(tmp_path)
    second = asking.Listener(tmp_path)
    first.close()
    one = come(question("status"))
    [asker] = second.hear()
    second.answer(asker, {"pid": 2})
    assert json.loads(one.recv(1_000)) == {"pid": 2}
    second.close()
    assert not (tmp_path / asking.RUN / asking.NAME).exists()
