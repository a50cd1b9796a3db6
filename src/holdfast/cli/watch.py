"""`holdfast watch [SESSION]`."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import click
import msgspec

from holdfast import clock
from holdfast.cli import answers, terminal
from holdfast.cli.app import COMMANDS, Context
from holdfast.errors import JournalError, RuleError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    import apsw

    from holdfast.home import Home
    from holdfast.news import News, Subscription
    from holdfast.store.lock import Holder

_QUIET = frozenset({"line.linked", "session.noted", "turn.noted", "llm.called"})  # for people: no news
_SAYS = (
    "text",
    "input",
    "output",
    "message",
    "question",
    "path",
    "title",
    "description",
    "model",
    "reason",
    "why",
)


@click.command(
    "watch",
    help=f"""{COMMANDS["watch"][1]}

    Prints what is recorded from now on, of all sessions or of one. With --json each event is one line; its `seq` given to --after
    brings what came after it. While no service runs (`holdfast up`), this command looks at the sources itself.
    """,
)
@click.argument("session", required=False)
@click.option(
    "--after",
    metavar="SEQ",
    help="Begin behind this event, not with what comes now; `start`: with the first one.",
)
@click.option("--once", is_flag=True, help="End when all that is there has been told.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")
@click.pass_obj
def command(context: Context, session: str | None, after: str | None, once: bool, as_json: bool) -> None:  # noqa: FBT001
    from holdfast import news
    from holdfast.store import queries

    home = context.home
    db = answers.ready(context)
    key = None if session is None else queries.session_key(db, session)
    subscription = _subscription(home, db, after)
    db.close()
    say: Callable[[News], str] = (
        _as_json(context.settings.head_size_chars) if as_json else _in_words(all_sessions=key is None)
    )
    if not once:
        terminal.note("watching; Ctrl-C ends it")
    follower = news.Follower(home, subscription, _catching_up(home), _unanswered())
    told = subscription.batches() if once else follower.batches()
    with contextlib.suppress(KeyboardInterrupt):
        for found in told:
            lines = [say(one) for one in found if key in (None, one.event.session)]
            sys.stdout.writelines(line for line in lines if line)
            sys.stdout.flush()


def _subscription(home: Home, db: apsw.Connection, after: str | None) -> Subscription:
    from holdfast.home import translators
    from holdfast.news import Subscription

    rows: Any = db.execute("SELECT id, path FROM source_file")
    out = Subscription(home.journal, home.blobs, translators(), dict(rows), home.settings.head_size_chars)
    if after is None:
        out.from_now()
    elif after != "start":
        out.from_seq(after)
    return out


def _catching_up(home: Home) -> Callable[[], object]:
    """Record what is new; what hinders it is told once."""
    told: set[str] = set()

    def catch_up() -> None:
        try:
            home.catch_up(wait_ms=0, defer=True)
        except (JournalError, RuleError, StoreError, OSError) as exc:
            if str(exc) not in told:
                terminal.note(f"note: what is new cannot be recorded: {exc}")
            told.add(str(exc))

    return catch_up


def _unanswered() -> Callable[[Holder], object]:
    """Say once of each service that it does not answer."""
    told: set[Holder] = set()

    def say(holder: Holder) -> None:
        if holder not in told:
            terminal.note(
                f"note: the service ({holder}) does not answer: what is new comes late, or not at all"
            )
        told.add(holder)

    return say


def _as_json(limit: int) -> Callable[[News], str]:
    def say(one: News) -> str:
        event = one.event
        data = msgspec.to_builtins(event.data)
        entry = {
            "seq": one.seq,
            "received_at": clock.iso(one.received_us),
            "at": clock.iso(event.time_us),
            "session": event.session,
            "agent": event.agent,
            "kind": event.kind,
            "id": event.id,
            "span": event.span,
            "parent": event.parent,
            "data": _cut(data, limit),
        }
        return json.dumps(entry, ensure_ascii=True) + "\n"

    return say


def _cut(value: Any, limit: int) -> Any:  # noqa: ANN401 - any JSON
    """The same with long texts cut, as rows of the store are."""
    if isinstance(value, str):
        return value if len(value) <= limit else value[: limit - 1] + "…"
    if isinstance(value, dict):
        return {name: _cut(each, limit) for name, each in value.items()}
    return [_cut(each, limit) for each in value] if isinstance(value, list) else value


def _in_words(*, all_sessions: bool) -> Callable[[News], str]:
    width = terminal.console().width

    def say(one: News) -> str:
        event = one.event
        if event.kind in _QUIET:
            return ""
        data: dict[str, Any] = msgspec.to_builtins(event.data)
        at = (clock.iso(event.time_us or one.received_us) or "")[11:19]
        whose = [terminal.short_id(event.session.partition(":")[2]).ljust(8)] if all_sessions else []
        agent = (event.agent or "main")[:17].ljust(8)
        what = " ".join(filter(None, (event.kind, data.get("tool"), data.get("status"))))
        said = next((data[name] for name in _SAYS if isinstance(data.get(name), str)), "")
        line = "  ".join([at, *whose, agent, what.ljust(26), said])
        return terminal.plain(line, width).rstrip() + "\n"

    return say
