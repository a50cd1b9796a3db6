"""Who is in the group of a life that nobody watches, and that nobody else is given a signal."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from holdfast import processes
from holdfast.supervise import process
from holdfast.supervise.reach import Group

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who is in a group")
ROOM = "run/0123456789ab/0001"


class Led:
    """A process that leads a group, and one that it started in it."""

    def __init__(self, mark):
        environment = os.environ | ({} if mark is None else {"HOLDFAST_RUN": mark})
        self.leader = subprocess.Popen(
            ["sh", "-c", "sleep 600 & echo $!; wait"],
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self.member = int(self.leader.stdout.readline())
        self.identity = processes.Identity(
            self.leader.pid, processes.started_ticks(self.leader.pid), processes.boot_id()
        )
        self.held = process.handle(self.member)

    def end_leader(self):
        self.leader.kill()
        self.leader.wait()

    def is_member_there(self):
        return processes.started_ticks(self.member) is not None

    def until_member_is_gone(self):
        poll = select.poll()
        poll.register(self.held.fd)
        assert poll.poll(30_000)

    def close(self):
        if self.leader.poll() is None:
            self.end_leader()
        self.held.send(signal.SIGKILL)
        self.held.close()
        self.leader.stdout.close()


@pytest.fixture
def led():
    made = []

    def lead(mark=None):
        made.append(Led(mark))
        return made[-1]

    yield lead
    for one in made:
        one.close()


def group_of(one, tmp_path, earlier=0):
    who = one.identity._replace(started_ticks=one.identity.started_ticks - earlier)
    return Group(who, tmp_path / ROOM)


def pids(found):
    return {one.pid for one in found.own}, {one.pid for one in found.unsure}


def test_as_long_as_the_leader_is_there_all_of_its_group_is_its_own(led, tmp_path):
    one = led()
    group = group_of(one, tmp_path)
    assert pids(group.members()) == ({one.leader.pid, one.member}, set())
    one.leader.kill()
    os.waitid(os.P_PID, one.leader.pid, os.WEXITED | os.WNOWAIT)
    assert pids(group_of(one, tmp_path).members()) == ({one.member}, set()), "a zombie holds its number"
    one.leader.wait()
    assert pids(group.members()) == ({one.member}, set()), "it was seen in it before"
    assert group.send(signal.SIGKILL) == 1
    one.until_member_is_gone()


@pytest.mark.parametrize(
    ("mark", "is_own"),
    [
        (None, False),
        ("/home/user/" + ROOM, True),
        ("/home/user/run/0123456789ab/0002", False),
        ("/home/user/run/ba9876543210/0001", False),
    ],
)
def test_once_the_leader_is_gone_a_member_is_its_own_that_bears_its_mark(mark, is_own, led, tmp_path):
    one = led(mark)
    one.end_leader()
    group = group_of(one, tmp_path)
    assert pids(group.members()) == (({one.member}, set()) if is_own else (set(), {one.member}))
    assert group.send(signal.SIGKILL) == int(is_own)
    if is_own:
        one.until_member_is_gone()
    else:
        assert one.is_member_there()


def test_a_number_that_was_given_out_again_names_nobody(led, tmp_path):
    """Its old group had ended before, whatever the new one bears."""
    one = led("/home/user/" + ROOM)
    group = group_of(one, tmp_path, earlier=1)
    assert pids(group.members()) == (set(), set())
    assert group.send(signal.SIGKILL) == 0
    assert one.is_member_there()


def test_another_boot_has_no_member_of_it(led, tmp_path):
    one = led("/home/user/" + ROOM)
    who = one.identity._replace(boot="another")
    assert pids(Group(who, tmp_path / ROOM).members()) == (set(), set())


def test_a_number_that_is_given_out_again_between_two_looks_holds_nothing(led, tmp_path, monkeypatch):
    """The leader was reaped after it was seen, and its number went to another before the group was looked at."""
    one = led()
    group = group_of(one, tmp_path)
    found = iter([process.member(one.leader.pid), process.member(one.leader.pid)._replace(start_ticks=2**40)])
    one.end_leader()
    monkeypatch.setattr(process, "member", lambda _: next(found))
    assert pids(group.members()) == (set(), {one.member})
