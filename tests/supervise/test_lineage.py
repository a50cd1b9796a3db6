"""Who works for whom, by the names that people and coordinators use."""

from __future__ import annotations

from holdfast.supervise import lineage
from holdfast.supervise.look import AgentLook, Life
from holdfast.supervise.spec import Spec


def agent(number, parent=None, *, alive=False, **spec):
    lives = (Life(attempt=1, state="running" if alive else "exited", exit_code=0),)
    made = Spec(
        id=f"{number:012x}",
        argv=("true",),
        cwd="/",
        session=f"run:{number:012x}",
        created_us=number,
        parent=None if parent is None else f"{parent:012x}",
        **spec,
    )
    return AgentLook(id=made.id, spec=made, lives=lives)


def numbers(found):
    return [int(one.id, 16) for one in found]


def test_an_agent_is_called_by_our_id_then_by_its_coordinators_then_by_its_name():
    agents = [
        agent(1, external_id="x", name="y"),
        agent(2, external_id="y", name="x"),
        agent(3, name=f"{1:012x}"),
    ]
    assert numbers(lineage.called(agents, "x")) == [1]
    assert numbers(lineage.called(agents, "y")) == [2]
    assert numbers(lineage.called(agents, f"{1:012x}")) == [1]
    assert lineage.called(agents, "z") == []
    assert lineage.called(agents, "0000") == []  # how an id begins is no name of a coordinator's


def test_of_several_of_one_name_the_living_one_is_meant_then_the_newest():
    ended = [agent(1, external_id="x"), agent(2, external_id="x")]
    assert numbers([lineage.meant(lineage.called(ended, "x"))]) == [2]
    assert numbers([lineage.meant([agent(0, external_id="x", alive=True), *ended])]) == [0]
    assert lineage.meant([]) is None


def test_children_are_listed_oldest_first_and_recursively_behind_whom_they_work_for():
    agents = [agent(6, 3), agent(5, 1), agent(3, 2), agent(4, 2), agent(2, 1), agent(1), agent(7)]
    assert numbers(lineage.below(agents, agents[5].id, recursive=False)) == [2, 5]
    assert numbers(lineage.below(agents, agents[5].id, recursive=True)) == [2, 3, 6, 4, 5]
    assert numbers(lineage.below(agents, agents[0].id, recursive=True)) == []
    assert numbers(lineage.all_below(agents)) == [1, 2, 3, 6, 4, 5, 7]


def test_agents_that_work_for_each_other_or_for_nobody_that_is_known_are_listed_too():
    agents = [agent(1, 2), agent(2, 1), agent(3, 9)]
    assert sorted(numbers(lineage.all_below(agents))) == [1, 2, 3]
    assert sorted(lineage.levels(agents).values()) == [1, 1, 2]


def test_a_level_is_what_the_type_says_else_one_more_than_the_parents():
    agents = [
        agent(1, agent_type="L1"),
        agent(2, 1),
        agent(3, 2, agent_type="L5 planner"),
        agent(4, 3),
        agent(5, agent_type="LX"),
    ]
    assert lineage.levels(agents) == {
        f"{n:012x}": level for n, level in ((1, 1), (2, 2), (3, 5), (4, 6), (5, 1))
    }


def test_an_agent_whose_directory_cannot_be_read_is_nobodys_child():
    broken = AgentLook(id="f" * 12, spec=None, lives=(), problem="no")
    assert lineage.levels([broken]) == {"f" * 12: 1}
    assert lineage.called([broken], "f" * 12) == []
