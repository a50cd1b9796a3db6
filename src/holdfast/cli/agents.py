"""What commands tell of agents, with what capture saw of their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast.cli import terminal
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.capture.progress import Progress
    from holdfast.home import Home
    from holdfast.run_views import View

HOW_CALLED = "AGENT is an id, how it begins, a name, or what its coordinator calls it (`agent_id`)."


def told(home: Home, views: list[View]) -> list[dict[str, Any]]:
    """What is told of each; without what its session is about where that cannot be asked, which is said."""
    from holdfast import run_sessions, supervising
    from holdfast.cli import answers
    from holdfast.supervise import reach

    far, sight = _far(home, views), reach.Sight()
    said = [supervising.answer(view, far.get(view.id), sight) for view in views]
    if not any(map(run_sessions.shows, views)):
        return said
    try:
        answers.catch_up(home, limit_s=home.settings.first_answer_s)
        return run_sessions.with_activity(home, views, said)
    except (HoldfastError, OSError) as exc:
        terminal.note(f"note: what the agents' sessions are about is not known: {exc}")
        return said


def say_left(view: View) -> None:
    """Name what an agent left behind."""
    from holdfast import supervising

    for one in supervising.left(view):
        terminal.note(f"note: process {one.pid} ({one.name}), which it started, runs on")


def _far(home: Home, views: list[View]) -> dict[str, Progress]:
    """How far they are; a store that cannot be read is told, and hides no agent."""
    from holdfast import progressing

    try:
        return progressing.of(home, [view.spec for view in views if view.spec is not None])
    except (HoldfastError, OSError) as exc:
        terminal.note(f"note: how far they are is not known: {exc}")
        return {}
