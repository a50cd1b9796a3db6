"""What agents that were started here are about, as capture sees their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdfast import clock
from holdfast.errors import NotFound
from holdfast.run_views import NOT_ASKED, session_of
from holdfast.store import queries

if TYPE_CHECKING:
    from collections.abc import Iterable

    import apsw

    from holdfast.home import Home
    from holdfast.run_views import View

Json = dict[str, Any]
_US = 1_000_000


def shows(view: View) -> bool:
    """Whether there is more to be known of an agent than of its process: it is an agent tool."""
    return view.spec is not None and view.spec.tool is not None


def with_activity(home: Home, views: Iterable[View], answers: Iterable[Json]) -> list[Json]:
    """Answers about agents with what each one's session is about (NOT_ASKED names it), and a later `last_sign_at` where there is one.

    Raises:
        StoreError: the store cannot be read.
    """
    db, looks = None, home.vitals()
    out = []
    for view, said in zip(views, answers, strict=True):
        found = dict(NOT_ASKED)
        if shows(view):
            db = home.reader() if db is None else db
            found = _of(db, home, view, looks)
        sign_at = _later(said["last_sign_at"], found.pop("sign_at", None))
        out.append(said | found | {"last_sign_at": sign_at})
    if db is not None:
        db.close()
    return out


def _of(db: apsw.Connection, home: Home, view: View, looks: Any) -> Json:  # noqa: ANN401 - `Vitals`
    assert view.spec is not None, "it was looked for"
    try:
        row = queries.session_id(db, session_of(view, view.spec))
    except NotFound:  # nothing of it is recorded yet
        return dict(NOT_ASKED)
    [found] = queries.session_rows(db, row, vitals=looks)
    answer = queries.session_answer(found, home.now_us(), int(home.settings.stale_after_s * _US))
    return {
        "session_state": answer["state"],
        "session_why": answer["state_why"],
        "activity": answer["activity"]["state"],
        "title": answer["title"],
        "sign_at": answer["activity"]["last_sign_at"],
    }


def _later(first: str | None, second: str | None) -> str | None:
    return clock.iso(max((at for at in map(_us, (first, second)) if at is not None), default=None))


def _us(at: str | None) -> int | None:
    return None if at is None else clock.parse_us(at)
