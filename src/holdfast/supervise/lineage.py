"""Who works for whom: agents named as people and coordinators name them, their children, their levels. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdfast import spans

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from holdfast.supervise.look import AgentLook

_LEVEL = re.compile(r"L([1-9]\d?)\b")


def called(agents: Iterable[AgentLook], name: str) -> list[AgentLook]:
    """The agents of a name that another system may have given: our id, else what it calls them, else what people do."""
    known = [one for one in agents if one.spec is not None]
    for what in ("id", "external_id", "name"):
        if found := [one for one in known if getattr(one.spec, what) == name]:
            return found
    return []


def meant(found: Iterable[AgentLook]) -> AgentLook | None:
    """Of several of one name, which other systems give again: the one that lives, then the one that was asked for last."""
    return max(found, key=lambda one: (one.is_alive, _created_us(one), one.id), default=None)


def parents(agents: Iterable[AgentLook]) -> dict[str, str]:
    """Whom each works for, by their ids: another one's id, or a name that nobody here is called by.

    A coordinator may ask for a child before its parent. The child names it as it does then, and of those that came to be called so
    the first is meant, so that no later one of the same name takes its children.
    """
    by_age = _by_age(agents)
    ids, named = {one.id for one in by_age}, dict[str, list[str]]()
    out: dict[str, str] = {}
    for one in by_age:
        name = None if one.spec is None else one.spec.parent
        if name is None:
            continue
        if name not in ids and name not in named:
            named[name] = [other.id for other in called(by_age, name)]
        out[one.id] = next((other for other in named.get(name, ()) if other != one.id), name)
    return out


def below(agents: Sequence[AgentLook], parent: str, *, recursive: bool) -> list[AgentLook]:
    """Those that work for an agent, or for whom nobody here is called, the oldest first; with `recursive` also for those, each behind the
    one it works for.
    """
    by_id = {one.id: one for one in _by_age(agents)}
    above, tree = _tree(by_id.values())
    children = (
        [one for one in by_id if above.get(one) == parent]
        if parent not in by_id
        else tree.children_of(parent)
    )
    if not recursive:
        return [by_id[one] for one in children]
    return [by_id[one] for one, _ in tree.walk(children)]


def all_below(agents: Iterable[AgentLook]) -> list[AgentLook]:
    """All of them, the oldest first, each behind the one it works for."""
    by_id = {one.id: one for one in _by_age(agents)}
    return [by_id[one] for one, _ in _tree(by_id.values())[1].walk()]


def levels(agents: Iterable[AgentLook]) -> dict[str, int]:
    """The level of each: what its type says ("L2"), else one more than that of who it works for; 1 works for nobody that is known."""
    by_id = {one.id: one for one in _by_age(agents)}
    parent_of, tree = _tree(by_id.values())
    out: dict[str, int] = {}
    for one, _ in tree.walk():
        spec = by_id[one].spec
        said = _LEVEL.match(spec.agent_type or "") if spec is not None else None
        above = out.get(parent_of.get(one, ""), 0)
        out[one] = int(said[1]) if said else above + 1
    return out


def _tree(agents: Collection[AgentLook]) -> tuple[dict[str, str], spans.Tree]:
    above = parents(agents)
    return above, spans.tree((one.id, above.get(one.id)) for one in agents)


def _by_age(agents: Iterable[AgentLook]) -> list[AgentLook]:
    return sorted(agents, key=lambda one: (_created_us(one), one.id))


def _created_us(one: AgentLook) -> int:
    return one.spec.created_us if one.spec is not None else 0
