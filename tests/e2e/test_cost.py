"""`holdfast cost` equals a count made straight from the transcripts, whatever it is split by."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from holdfast import pricing
from tests.conftest import SHARED_DATA
from tests.e2e import conftest
from tests.e2e.conftest import CAPTURED

TODAY = "2026-11-22T12:00:00Z"

if TYPE_CHECKING:
    from pathlib import Path

BYS = ("day", "model", "project", "agent-type", "session")
TOKENS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
ONE, TWO = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
SONNET = "claude-sonnet-4-5-20250929"


def raw_calls(*places: Path) -> list[dict]:
    """Every model message once: the last of its lines that states a stop reason, else its last line."""
    found: dict[str, tuple[bool, dict]] = {}
    for file in sorted(file for place in places for file in place.rglob("*.jsonl")):
        for line in file.read_text("utf-8", errors="replace").split("\n"):
            row = _json(line)
            if row.get("type") == "progress":  # a subagent's message, told in the main transcript only
                row = row["data"].get("message") or {}
            message = row.get("message")
            if row.get("type") != "assistant" or message.get("model") == "<synthetic>":
                continue
            final = message.get("stop_reason") is not None
            if final or not found.get(message["id"], (False,))[0]:
                found[message["id"]] = (final, row)
    return [_call(row, final=final) for final, row in found.values()]


def _json(line: str) -> dict:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _call(row: dict, *, final: bool) -> dict:
    usage = row["message"]["usage"]
    written = usage.get("cache_creation") or {}
    hour = written.get("ephemeral_1h_input_tokens", 0)
    tokens = {
        "input": usage["input_tokens"],
        "output": usage["output_tokens"],
        "cache_read": usage.get("cache_read_input_tokens") or 0,
        "cache_write_5m": (usage.get("cache_creation_input_tokens") or 0) - hour,
        "cache_write_1h": hour,
    }
    return {
        **tokens,
        "model": row["message"]["model"],
        "agent": row.get("agentId"),
        "final": final,
        "cost": pricing.price(row["message"]["model"], *tokens.values()),
    }


def summed(calls: list[dict]) -> dict:
    return {
        "llm_calls": len(calls),
        **{name: sum(call[name] for call in calls) for name in TOKENS},
        "cost": sum(call["cost"] or 0 for call in calls),
        "unpriced": sum(call["cost"] is None for call in calls),
        "unreliable": sum(not call["final"] for call in calls),
    }


def flat(use: dict) -> dict:
    """An answer's figures in the same form; what is unknown adds nothing."""
    return {
        "llm_calls": use["llm_calls"],
        **{name: use["tokens"][name] or 0 for name in TOKENS},
        "cost": use["cost_pico_usd"] or 0,
        "unpriced": use["unpriced_calls"],
        "unreliable": use["tokens"]["output_unreliable_calls"],
    }


def added(groups: list[dict]) -> dict:
    figures = [flat(group) for group in groups]
    return {name: sum(each[name] for each in figures) for name in flat(NOTHING)}


NOTHING = {
    "llm_calls": 0,
    "cost_pico_usd": 0,
    "unpriced_calls": 0,
    "tokens": {**dict.fromkeys(TOKENS, 0), "output_unreliable_calls": 0},
}


def ask(home: Path, *commands: list[str]) -> list[str]:
    """What the command prints on the day that these tests are about."""
    return conftest.ask(home, *commands, now=TODAY)


def cost(home: Path, *options: str) -> dict:
    (answer,) = ask(home, ["cost", *options, "--json"])
    return json.loads(answer)


def line(
    session: str = ONE,
    message: str = "msg_1",
    at: str = "2026-11-20T11:30:00Z",
    *,
    model: str = SONNET,
    output: int = 50,
    stop: str | None = "end_turn",
    cwd: str = "/srv/app",
) -> dict:
    """One line of a model message, as Claude Code writes it."""
    return {
        "type": "assistant",
        "uuid": f"uuid-{message}-{output}",
        "sessionId": session,
        "timestamp": at,
        "cwd": cwd,
        "version": "2.1.330",
        "message": {
            "id": message,
            "role": "assistant",
            "model": model,
            "stop_reason": stop,
            "content": [{"type": "text", "text": "done"}],
            "usage": {"input_tokens": 10, "output_tokens": output},
        },
    }


@pytest.fixture
def written(tmp_path, imported):
    """Import transcripts made of lines, each session's into a file of its own, and give the home."""

    def write(*lines: dict) -> Path:
        place = tmp_path / "transcripts"
        place.mkdir()
        for session in {each["sessionId"] for each in lines}:
            own = [json.dumps(each) + "\n" for each in lines if each["sessionId"] == session]
            (place / f"{session}.jsonl").write_text("".join(own))
        return imported(place)

    return write


# ── sums ──


def test_sums_equal_a_count_straight_from_the_transcripts(imported):
    assert flat(cost(imported(CAPTURED))["total"]) == summed(raw_calls(CAPTURED))


@pytest.mark.parametrize("by", BYS)
def test_the_parts_add_up_to_the_total(by, imported):
    answer = cost(imported(CAPTURED), "--by", by)
    assert added(answer["groups"]) == flat(answer["total"])
    assert len({group["key"] for group in answer["groups"]}) == len(answer["groups"]) > 0
    assert answer["total"]["llm_calls"] == len(raw_calls(CAPTURED))


def test_each_model_has_the_sum_of_its_calls(imported):
    calls = raw_calls(CAPTURED)
    groups = cost(imported(CAPTURED), "--by", "model")["groups"]
    assert {group["key"]: flat(group) for group in groups} == {
        model: summed([call for call in calls if call["model"] == model])
        for model in {call["model"] for call in calls}
    }


def test_main_agents_have_the_sum_of_calls_outside_subagents(imported):
    calls = raw_calls(CAPTURED / "foreground-nested-subagents")
    groups = cost(imported(CAPTURED / "foreground-nested-subagents"), "--by", "agent-type")["groups"]
    figures = {group["key"]: flat(group) for group in groups}
    assert figures.pop("main") == summed([call for call in calls if call["agent"] is None])
    assert added([group for group in groups if group["key"] != "main"]) == summed(
        [call for call in calls if call["agent"]]
    )
    assert None not in figures


def test_a_fork_counts_once_and_only_what_is_its_own(imported):
    place = CAPTURED / "fork-after-kill9"
    alone = raw_calls(place)
    together = raw_calls(place, CAPTURED / "resume-after-kill9-and-compact")
    home = imported(CAPTURED)
    answer = cost(home, "--by", "session")
    fork = next((place / "transcript").glob("*.jsonl")).stem
    own = next(group for group in answer["groups"] if group["key"] == fork)
    assert 0 < own["llm_calls"] < len(alone) < len(together)
    assert answer["total"]["llm_calls"] == len(raw_calls(CAPTURED))
    assert flat(cost(home, "--session", fork)["total"]) == flat(own)


@pytest.mark.needs_shared
@pytest.mark.slow
def test_public_transcripts_are_summed_as_their_lines_say(imported):
    """Old versions: most output tokens are placeholders, and the answer says of how many calls."""
    place = SHARED_DATA / "public-transcripts" / "claude-projects"
    home = imported(place)
    answers = [cost(home, "--by", by) for by in BYS]
    for answer in answers:
        assert added(answer["groups"]) == flat(answer["total"]) == flat(answers[0]["total"])
    assert flat(answers[0]["total"]) == summed(raw_calls(place))
    assert answers[0]["total"]["tokens"]["output_unreliable_calls"] > 0


# ── what is unknown ──


def test_an_unknown_model_has_an_unknown_cost_and_makes_the_sum_a_lower_bound(written):
    home = written(line(), line(message="msg_2", model="nobody-knows", output=7))
    answer = cost(home, "--by", "model")
    known, unknown = answer["groups"]
    assert (unknown["key"], unknown["cost_usd"], unknown["cost_pico_usd"]) == ("nobody-knows", None, None)
    assert unknown["tokens"]["output"] == 7
    total = answer["total"]
    assert (total["cost_pico_usd"], total["cost_complete"]) == (known["cost_pico_usd"], False)
    assert (total["unpriced_calls"], total["incomplete_calls"]) == (1, 1)
    (shown,) = ask(home, ["cost", "--by", "model"])
    rows = {row.split()[0]: row.split() for row in shown.splitlines() if row.strip()}
    assert rows["nobody-knows"][-2:] == ["unknown", "1"]
    assert rows["total"][-2:] == ["≥$0.0008", "1"]
    assert "price is not known" in shown


def test_placeholder_tokens_are_a_lower_bound_and_counted(written):
    home = written(line(stop=None, output=1), line(message="msg_2", output=100))
    total = cost(home)["total"]
    assert (total["tokens"]["output"], total["tokens"]["output_unreliable_calls"]) == (101, 1)
    assert total["incomplete_calls"] == 1
    (shown,) = ask(home, ["cost"])
    last = shown.splitlines()
    assert any("≥101" in row and "≥$" in row for row in last)
    assert "first count" in shown


def test_a_message_is_counted_by_its_last_line(written):
    home = written(line(output=1, stop=None), line(output=2, stop=None), line(output=90))
    total = cost(home)["total"]
    assert (total["llm_calls"], total["tokens"]["output"], total["incomplete_calls"]) == (1, 90, 0)


def test_calls_without_figures_are_unknown_and_never_zero(home, run, monkeypatch):
    events = [
        {"kind": "llm.called", "session": "own", "fields": {"model": SONNET}},
        {"kind": "agent.started", "session": "own", "agent": "a", "fields": {"agent_type": "planner"}},
    ]
    run("record", stdin="".join(json.dumps(event) + "\n" for event in events))
    answer = cost(home, "--by", "agent-type")
    groups = {group["key"]: group for group in answer["groups"]}
    assert groups["main"]["tokens"]["input"] is None
    assert groups["main"]["tokens"]["unknown_calls"] == groups["main"]["incomplete_calls"] == 1
    assert (groups["planner"]["llm_calls"], groups["planner"]["silent_agents"]) == (0, 1)
    assert groups["planner"]["tokens"]["output"] is groups["planner"]["cost_usd"] is None
    assert answer["total"]["silent_agents"] == 1
    assert not answer["total"]["cost_complete"]
    monkeypatch.setenv("COLUMNS", "120")
    (shown,) = ask(home, ["cost", "--by", "agent-type"])
    row = next(row for row in shown.splitlines() if row.startswith("planner"))
    assert row.split()[1:] == ["0", *["unknown"] * 5, "+1"]


# ── days ──


def days(home: Path, *options: str) -> dict[str, int]:
    return {group["key"]: group["llm_calls"] for group in cost(home, "--by", "day", *options)["groups"]}


def test_a_call_late_in_the_evening_falls_on_the_next_day_further_east(written, monkeypatch):
    home = written(line(at="2026-11-20T23:30:00Z"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert days(home) == {"2026-11-21": 1}
    assert days(home, "--utc") == {"2026-11-20": 1}
    monkeypatch.setenv("TZ", "America/New_York")
    assert days(home) == {"2026-11-20": 1}
    monkeypatch.setenv("TZ", "Asia/Kathmandu")  # 5:45
    assert days(home) == {"2026-11-21": 1}


def test_since_and_until_mean_the_days_that_are_shown(written, monkeypatch):
    home = written(
        line(at="2026-11-20T14:59:59Z"),
        line(message="msg_2", at="2026-11-20T15:00:00Z"),
        line(message="msg_3", at="2026-11-21T14:59:59.999Z"),
        line(message="msg_4", at="2026-11-21T15:00:00Z"),
    )
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert days(home, "--since", "2026-11-21", "--until", "2026-11-21") == {"2026-11-21": 2}
    assert days(home, "--since", "1d", "--until", "1d") == {"2026-11-21": 2}
    assert days(home, "--utc", "--since", "2026-11-21") == {"2026-11-21": 2}
    moment = ("--since", "2026-11-20T15:00:00Z", "--until", "2026-11-20T15:00:00Z")
    assert days(home, *moment) == {"2026-11-21": 1}
    assert days(home, "--since", "2026-11-21T00:00", "--until", "2026-11-21T00:01") == {"2026-11-21": 1}


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC"])
def test_days_are_those_of_the_local_calendar_across_clock_changes(zone, written, monkeypatch):
    """A call every half hour over the days on which clocks change, compared with what `zoneinfo` says."""
    from collections import Counter
    from zoneinfo import ZoneInfo

    start = datetime(2026, 10, 3, tzinfo=UTC)
    moments = [start + timedelta(minutes=30 * step) for step in range(48 * 30)]
    home = written(*(line(message=f"msg_{at}", at=moment.isoformat()) for at, moment in enumerate(moments)))
    monkeypatch.setenv("TZ", zone)
    expected = Counter(moment.astimezone(ZoneInfo(zone)).date().isoformat() for moment in moments)
    assert days(home) == expected
    for day in ("2026-10-04", "2026-10-25"):
        assert days(home, "--since", day, "--until", day) == {day: expected[day]}


def test_the_first_view_sums_today_a_week_a_month_and_all(written):
    """Today is 2026-11-22."""
    dates = ["2026-11-22", "2026-11-16", "2026-11-15", "2026-10-24", "2026-10-23"]
    home = written(*(line(message=f"msg_{day}", at=f"{day}T12:00:00Z") for day in dates))
    (answer,) = ask(home, ["cost", "--utc", "--json"])
    answer = json.loads(answer)
    assert [(period["name"], period["llm_calls"]) for period in answer["periods"]] == [
        ("today", 1),
        ("last 7 days", 2),
        ("last 30 days", 4),
        ("all", 5),
    ]
    assert [period["since"] for period in answer["periods"]] == [
        "2026-11-22",
        "2026-11-16",
        "2026-10-24",
        None,
    ]
    assert [group["key"] for group in answer["groups"]] == ["2026-11-15", "2026-11-16", "2026-11-22"]
    assert flat(answer["total"]) == flat(answer["periods"][-1])
    (shown,) = ask(home, ["cost", "--utc"])
    assert "last 30 days" in shown
    assert "Days are UTC" in shown


# ── by whom ──


def test_projects_are_shown_where_they_lie_today(written):
    home = written(line(), line(session=TWO, message="msg_2", cwd="/srv/app/api"))
    ask(home, ["workspace", "move", "/srv/app", "/home/me/app"])
    assert {group["key"] for group in cost(home, "--by", "project")["groups"]} == {
        "/home/me/app",
        "/home/me/app/api",
    }


def test_sessions_have_their_titles(imported):
    groups = cost(imported(CAPTURED / "max-turns"), "--by", "session")["groups"]
    (listed,) = ask(imported(CAPTURED / "max-turns"), ["sessions", "--json"])
    assert [(group["key"], group["title"]) for group in groups] == [
        (session["id"], session["title"]) for session in json.loads(listed)["sessions"]
    ]


# ── edges of use ──


def test_an_empty_home_has_no_calls(home):
    answer = cost(home)
    assert (answer["total"]["llm_calls"], answer["total"]["cost_usd"], answer["groups"]) == (0, 0, [])
    (shown,) = ask(home, ["cost"])
    assert shown == "no model calls are recorded\n"


def test_a_window_without_calls_says_so(written):
    (shown,) = ask(written(line()), ["cost", "--since", "2026-11-21"])
    assert shown == "no model calls match\n"


def test_what_cannot_be_asked_is_refused(run):
    for args in (
        ["--by", "week"],
        ["--since", "yesterday"],
        ["--until", "2026-02-30"],
    ):
        done = run("cost", *args)
        assert (done.returncode, done.stdout) == (2, ""), args
    assert run("cost", "--session", "nothing").returncode == 3


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_ends_of_the_calendar_are_times_too(zone, written, monkeypatch):
    home = written(line())
    monkeypatch.setenv("TZ", zone)
    assert days(home, "--utc", "--since", "0001-01-01", "--until", "9999-12-31") == {"2026-11-20": 1}
    assert sum(days(home, "--since", "0001-01-01", "--until", "9999-12-31").values()) == 1


def test_the_price_table_s_day_is_named(written):
    home = written(line())
    (shown,) = ask(home, ["cost"])
    assert pricing.price_table().date in shown
    assert cost(home)["prices_of"] == pricing.price_table().date


def test_it_fits_a_narrow_terminal(imported, monkeypatch):
    home = imported(CAPTURED)
    monkeypatch.setenv("COLUMNS", "80")
    for by in BYS:
        (shown,) = ask(home, ["cost", "--by", by])
        assert max(map(len, shown.splitlines())) <= 80
