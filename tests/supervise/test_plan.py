"""What is done about an agent, decided from what its lives were and the moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.supervise import plan
from holdfast.supervise.look import AgentLook, Asked, Life
from holdfast.supervise.spec import Spec

S = 1_000_000
T0 = 1_800_000_000 * S


def agent(*lives, restart="on-failure"):
    spec = Spec(id="0" * 12, argv=("x",), cwd="/", session="run:0", created_us=T0, restart=restart)
    return AgentLook(id=spec.id, spec=spec, lives=lives)


def life(number, began_s=0, took_s=1, *, code=1, told="ended", **more):
    began_us = T0 + int(began_s * S)
    said = {"state": "exited", "started_us": began_us, "created_us": began_us, "exit_code": code}
    return Life(attempt=number, told=told, **said | {"ended_us": began_us + int(took_s * S)} | more)


def lost(number, began_s=0, **more):
    return life(number, began_s, code=None, state="lost", ended_us=None, why="gone", **more)


def at(seconds):
    return T0 + int(seconds * S)


def failing(gaps_s):
    """Failures that each took a second, so far apart."""
    out, began_s = [], 0
    for number, gap_s in enumerate(gaps_s, 1):
        out.append(life(number, began_s))
        began_s += gap_s
    return out


def test_what_is_not_told_is_told_first():
    untold = agent(life(1, told="started"), life(2, told=""))
    assert plan.next_action(untold, at(5)) == plan.Record((1, 2))
    running = agent(life(1, state="running", told="", exit_code=None, ended_us=None))
    assert plan.next_action(running, at(5)) == plan.Record((1,))


@pytest.mark.parametrize("state", ["running", "paused", "unshimmed"])
def test_what_is_alive_is_left_alone(state):
    alive = agent(life(1, state=state, told="started"))
    assert isinstance(plan.next_action(alive, at(10**6)), plan.Wait)


@pytest.mark.parametrize("restart", ["never", "on-failure", "ask"])
def test_what_ended_well_or_was_ended_is_not_started_again(restart):
    ends = [
        life(1, code=0),
        life(1, asked="stop"),
        life(1, stop=Asked(how="kill")),
        lost(1, stop=Asked(how="stop")),
        lost(1, rebooted=True, stop=Asked(how="stop")),
    ]
    for one in ends:
        assert isinstance(plan.next_action(agent(one, restart=restart), at(10**6)), plan.Done)


def test_a_pause_is_no_wish_to_end_it():
    failed = agent(life(1, stop=Asked(how="pause")))
    assert isinstance(plan.next_action(failed, at(100)), plan.Start)


def test_a_failure_is_followed_by_a_start_after_30_s_and_twice_as_long_each_time():
    for count, gap_s in ((1, 30), (2, 60), (3, 120), (4, 240)):
        lives = failing([1_000] * count)
        end_s = 1_000 * (count - 1) + 1
        waits = plan.next_action(agent(*lives), at(end_s + gap_s - 1))
        assert isinstance(waits, plan.Wait)
        assert waits.until_us == at(end_s + gap_s)
        assert plan.next_action(agent(*lives), at(end_s + gap_s)) == plan.Start(count + 1, "it failed", count)


def test_pauses_grow_to_ten_minutes_and_no_further():
    assert [plan.backoff_us(count) // S for count in (1, 2, 5, 6, 7, 50)] == [30, 60, 480, 600, 600, 600]


def test_five_failures_within_a_quarter_of_an_hour_end_it():
    assert isinstance(plan.next_action(agent(*failing([200] * 5)), at(10**6)), plan.GiveUp)
    assert isinstance(plan.next_action(agent(*failing([200] * 4)), at(10**6)), plan.Start)
    assert isinstance(plan.next_action(agent(*failing([300] * 5)), at(10**6)), plan.Start)


def test_half_an_hour_without_a_failure_begins_counting_anew():
    lives = [*failing([100] * 4), life(5, 1_000, took_s=1_800), life(6, 3_000)]
    assert plan.next_action(agent(*lives), at(10**6)) == plan.Start(7, "it failed", 2)


def test_another_boot_and_an_attempt_that_never_began_cost_nothing():
    lives = [life(1), lost(2, 100, rebooted=True)]
    assert plan.next_action(agent(*lives), at(101)) == plan.Start(3, "it was interrupted: gone", 1)
    never = life(2, 100, state="never_started", started_us=None, ended_us=None, exit_code=None, told="")
    assert plan.next_action(agent(life(1), never), at(110)) == plan.Start(2, never_why())


DAY_S = 86_400


@pytest.mark.parametrize(
    ("back_s", "waits_s"),
    [
        (0, 30),
        (10, 40),  # as long as it should, by the clock that it has now
        (30, 60),
        (31, None),  # more than twice as long: nobody knows how long it is
        (DAY_S, None),
    ],
)
def test_a_clock_that_is_set_back_makes_nobody_wait_for_it(back_s, waits_s):
    now_us = at(1 - back_s)  # the moment at which it ended, by another clock
    action = plan.next_action(agent(life(1)), now_us)
    if waits_s is None:
        assert action == plan.Start(2, "it failed", 1)
    else:
        assert isinstance(action, plan.Wait)
        assert action.until_us == now_us + waits_s * S


def test_failures_before_a_clock_was_set_back_are_not_compared_with_those_after_it():
    before, after = failing([200] * 4), life(5, -DAY_S)
    assert plan.next_action(agent(*before, after), at(-DAY_S + 1_000)) == plan.Start(6, "it failed", 5)
    early = [life(number, -DAY_S + number * 100) for number in range(2, 7)]
    assert isinstance(plan.next_action(agent(life(1), *early), at(0)), plan.GiveUp), (
        "five after it are enough"
    )


def test_what_a_person_starts_again_begins_counting_anew():
    loop = failing([100] * 5)
    assert isinstance(plan.next_action(agent(*loop), at(500)), plan.GiveUp)
    again = [*loop, life(6, 500, is_again=True)]
    waits = plan.next_action(agent(*again), at(501))
    assert isinstance(waits, plan.Wait)
    assert waits.until_us == at(501 + 30)
    more = [*again, life(7, 540)]
    assert plan.next_action(agent(*more), at(541 + 60)) == plan.Start(8, "it failed", 2)


def test_an_end_that_nobody_saw_is_no_failure():
    """It may have been none, and what came before it counts no less."""
    lives = [life(1), lost(2, 100, seen_us=at(110)), life(3, 200, is_again=False)]
    waits = plan.next_action(agent(*lives), at(201))
    assert isinstance(waits, plan.Wait)
    assert waits.until_us == at(201 + 60)
    stood = [life(1), lost(2, 100, seen_us=at(100 + 1_800)), life(3, 2_000)]
    assert plan.next_action(agent(*stood), at(2_031)) == plan.Start(4, "it failed", 1), "it stood long enough"


def test_a_container_that_was_started_again():
    """In another boot that is an interruption; in the same one nobody knows how its agents ended, or whether another container has them."""
    same, another = lost(1, seen_us=at(10)), lost(1, seen_us=at(10), rebooted=True)
    assert isinstance(plan.next_action(agent(same), at(20)), plan.Ask)
    assert plan.next_action(agent(another), at(20)) == plan.Start(2, "it was interrupted: gone", 0)


def never_why():
    return "who wanted to start it did not get to it"


def test_what_nobody_saw_end_is_never_started_again_by_itself():
    """It may have done all that it was to do, or run still where nothing tells when it began."""
    assert isinstance(plan.next_action(agent(lost(1, seen_us=at(10))), at(10_000)), plan.Ask)


def test_who_starts_it_just_now_is_not_raced_and_what_was_wanted_long_ago_is_asked_about():
    never = life(1, state="never_started", started_us=None, ended_us=None, exit_code=None, told="")
    assert plan.next_action(agent(never), at(1)) == plan.Wait("it is being started", at(5))
    assert isinstance(plan.next_action(agent(never), at(5)), plan.Start)
    assert isinstance(plan.next_action(agent(never), at(600)), plan.Ask)


def test_restart_ask_starts_nothing():
    for one in (life(1), lost(1), lost(1, rebooted=True)):
        assert isinstance(plan.next_action(agent(one, restart="ask"), at(10**6)), plan.Ask)


def test_what_cannot_be_read_is_left_alone():
    broken = AgentLook(id="0" * 12, spec=None, lives=(life(1),), problem="no JSON")
    assert plan.next_action(broken, at(10**6)) == plan.Done("no JSON")


LIVES = st.lists(
    st.tuples(
        st.sampled_from(["exited", "lost", "rebooted", "never_started"]),
        st.integers(0, 4_000),
        st.integers(0, 4_000),
        st.sampled_from([0, 1, None]),
    ),
    min_size=1,
    max_size=12,
)


def built(drawn):
    out, now_s = [], 0
    for number, (state, gap_s, took_s, code) in enumerate(drawn, 1):
        now_s += gap_s
        if state == "exited":
            out.append(life(number, now_s, took_s, code=code, signal=9 if code is None else None))
        else:
            told = "" if state == "never_started" else "ended"
            kind = "lost" if state == "rebooted" else state
            out.append(
                lost(number, now_s, told=told) if kind == "lost" else life(number, now_s, told="", state=kind)
            )
            if state == "rebooted":
                out[-1] = lost(number, now_s, rebooted=True)
        now_s += took_s
    return out, now_s


@given(LIVES, st.integers(0, 10_000))
def test_no_two_starts_are_closer_than_they_may_be(drawn, later_s):
    """Whatever happened before: a start after a failure waits, starts the next attempt, and cutting costs no part of the budget."""
    lives, now_s = built(drawn)
    action = plan.next_action(agent(*lives), at(now_s + later_s))
    last = lives[-1]
    if isinstance(action, plan.Start):
        assert action.attempt == (last.attempt if last.state == "never_started" else last.attempt + 1)
        assert last.exit_code != 0 or last.state == "never_started"
        if last.state == "exited":
            assert at(now_s + later_s) >= last.ended_us + plan.BACKOFF_US
    cut = [*lives[:-1], lost(90, now_s, rebooted=True), last]
    if last.state != "never_started":
        assert plan.failures(lives) == plan.failures(cut)


@given(LIVES)
def test_what_is_settled_stays_so(drawn):
    """No moment changes it: so a file may say that nobody has to look any more."""
    lives, _ = built(drawn)
    if plan.is_settled(agent(*lives)):
        for now_us in (0, T0, 4 * T0):
            assert isinstance(plan.once_told(agent(*lives), now_us), plan.Done | plan.GiveUp | plan.Ask)
