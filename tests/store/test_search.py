"""The search index against a search of the same texts without one."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
from functools import cache

import apsw
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from holdfast import events as ev
from holdfast.store import context, database, passages, search
from holdfast.store.fold import Fold
from holdfast.store.statements import statements
from holdfast.store.statements import text as sql_text

WORDS = ("a", "b", "ab", "a_b", "c/d.e", "é", "F", "f", "x-y", "日本")
BASE_US = 1_795_000_000_000_000
CLOSE = st.integers(0, 400_000)  # within few units of the index's time, so that order inside one matters
TIMES = st.one_of(
    st.none(),
    CLOSE.map(lambda us: BASE_US + us),
    st.sampled_from([0, -1, -(10**15), 2**31, BASE_US, BASE_US + 1, 253_402_300_799_999_999]),
)
PASSAGES = st.fixed_dictionaries(
    {
        "n": st.integers(0, 30),  # of the event: equal ones are rivals
        "session": st.sampled_from(["sdk:one", "sdk:two"]),
        "time_us": TIMES,
        "agent": st.sampled_from(["", "w1", "w2"]),
        "role": st.sampled_from(["user", "assistant", "agent"]),
        "text": st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join),
    }
)


def event_of(p):
    return ev.Event(
        id=f"e{p['n']}",
        kind="message.sent",
        session=p["session"],
        time_us=p["time_us"],
        agent=p["agent"],
        data=ev.MessageSent(role=p["role"], text=p["text"]),
    )


@pytest.fixture(scope="module")
def new_store(tmp_path_factory):
    """Folds batches of events into a store of its own."""
    made, number = tmp_path_factory.mktemp("stores"), itertools.count()

    def fold(batches, **limits):
        db = database.create(made / f"store-{next(number)}.db")
        folder = Fold(db, head_chars=300, **limits)
        at = 0
        for batch in batches:
            for each in batch:
                at += 1
                folder.add(each if isinstance(each, ev.Event) else event_of(each), 1, at)
            with database.transaction(db):
                folder.write()
        return db

    return fold


# ── the same, without an index ──


def parts(text):
    """Words as the index has them: letters and digits, without case or accents; a CJK character is a word."""
    plain = text.lower().replace("é", "e")
    return re.findall(r"[a-z0-9]+|[日本]", plain)


@cache
def matches(text, typed):
    have = parts(text)
    for word in typed.split():
        want = parts(word)
        starts = word.endswith("*")
        if want and not any(_here(have[n : n + len(want)], want, starts=starts) for n in range(len(have))):
            return False
    return any(parts(word) for word in typed.split())


def _here(have, want, *, starts):
    return have == want or (
        starts and len(have) == len(want) and have[:-1] == want[:-1] and have[-1].startswith(want[-1])
    )


def winners(found):
    """One passage per session and event: the longest text, then by checksum; equal texts by time and the rest."""
    import zlib

    out = {}
    for at, p in enumerate(found):
        time = (0, 0) if p["time_us"] is None else (1, -p["time_us"])
        kind = {"user": "prompt", "assistant": "answer"}.get(p["role"], "message")
        claim = (len(p["text"]), zlib.crc32(p["text"].encode()), time, p["agent"], kind, -at)
        name = p["session"], p["n"]
        if name not in out or claim > out[name][0]:
            out[name] = claim, p | {"kind": kind}
    return [p for _, p in out.values()]


def expected(found, typed, session=None, kind=None, agent=None, since_us=None, until_us=None):
    hits = [
        p
        for p in winners(found)
        if matches(p["text"], typed)
        and session in (None, p["session"])
        and kind in (None, p["kind"])
        and (agent is None or p["agent"].startswith(agent) or (agent == "main" and not p["agent"]))
        and (since_us is None or (p["time_us"] is not None and p["time_us"] >= since_us))
        and (until_us is None or (p["time_us"] is not None and p["time_us"] <= until_us))
    ]
    hits.sort(key=lambda p: (p["time_us"] is None, -(p["time_us"] or 0), digest(p)))
    return [(p["session"], f"e{p['n']}", p["time_us"]) for p in hits]


def digest(p):
    return passages.key(p["session"], f"e{p['n']}", "text")


def asked(db, typed, limit, session=None, **more):
    found = session and db.execute("SELECT id FROM session WHERE key = ?", (session,)).get
    question = search.Question(text=typed, session_id=found or None, limit=limit, **more)
    rows = search.matches(db, search.query(db, typed), question)[:limit]
    return [(f"sdk:{row['session']}", row["native"], row["at_us"]) for row in rows]


TYPED = st.one_of(
    st.lists(st.sampled_from([*WORDS, "a*", "x-*", "-", "日*", "É"]), min_size=1, max_size=2).map(" ".join)
)


@given(
    st.lists(PASSAGES, max_size=60), st.data(), TYPED, st.integers(1, 25), st.sampled_from([None, "sdk:one", "sdk:two"]),
    st.sampled_from([None, "prompt", "answer"]), st.sampled_from([None, None, "main", "w", "w2"]), TIMES, TIMES,
)  # fmt: skip
@settings(max_examples=250, deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
def test_newest_first_is_exact(
    new_store, found, data, typed, limit, session, kind, agent, since_us, until_us
):
    """Whatever the texts, times, batches, filters and limits: the newest matches, in order, and no others."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(found)), max_size=3)))
    bounds = [0, *cuts, len(found)]
    db = new_store([found[a:b] for a, b in itertools.pairwise(bounds)])
    have = {row[0] for row in db.execute("SELECT key FROM session")}
    session = session if session in have else None
    given_ = {"session": session, "kind": kind, "agent": agent, "since_us": since_us, "until_us": until_us}
    want = expected(found, typed, **given_)
    note(f"{typed!r} {given_}")
    assert asked(db, typed, limit, **given_) == want[:limit]
    ranked = asked(db, typed, 1_000, ranked=True, **given_)
    assert sorted(ranked, key=repr) == sorted(want, key=repr)
    total = db.execute(statements("search")["passage_count"]).get
    assert total == db.execute("SELECT count(*) FROM passage").get == len(winners(found))
    db.close()


@pytest.mark.parametrize("seed", range(5))
def test_any_order_and_any_batches_give_the_same_index(seed, new_store):
    """Rivals, repetitions and shuffled batches: the same passages under the same numbers wherever they differ by more than chance."""
    print(f"seed {seed}")
    chance = random.Random(seed)
    made = [
        {
            "n": chance.randint(0, 150),
            "session": chance.choice(["sdk:one", "sdk:two"]),
            "time_us": chance.choice([None, BASE_US + chance.randint(0, 10**7)]),
            "agent": "",
            "role": "user",
            "text": " ".join(chance.choices(WORDS, k=chance.randint(1, 5))),
        }
        for _ in range(400)
    ]
    orders = []
    for _ in range(3):
        order = made + chance.sample(made, 100)
        chance.shuffle(order)
        step = chance.randint(1, 90)
        orders.append(new_store([order[n : n + step] for n in range(0, len(order), step)]))
    for typed in ("a", "b a", "c/d.e", "a*", "日本"):
        answers = [asked(db, typed, 1_000) for db in orders]
        assert answers[0] == answers[1] == answers[2] == expected(made, typed)
        assert answers[0]


def test_an_index_that_lost_its_order_would_be_noticed(new_store):
    """The comparison above goes red when numbers do not follow time."""
    found = [
        {
            "n": n,
            "session": "sdk:one",
            "time_us": BASE_US + n * 10**6,
            "agent": "",
            "role": "user",
            "text": "a",
        }
        for n in range(20)
    ]
    db = new_store([found])
    with database.transaction(db):
        db.execute("UPDATE passage SET time_us = time_us + 1000000000 WHERE native = 'e3'")
    assert asked(db, "a", 5) != [
        ("sdk:one", "e3", BASE_US + 1_003_000_000),
        *expected(found, "a")[:4],
    ]


def test_more_passages_of_one_moment_than_it_has_slots(new_store, monkeypatch):
    """What finds no slot goes where no order is, and every answer is still exact."""
    monkeypatch.setattr(passages, "SLOT_TRIES", 2)
    monkeypatch.setattr(passages, "_SLOTS", 7)
    found = [
        {"n": n, "session": "sdk:one", "time_us": BASE_US + n % 3, "agent": "", "role": "user", "text": "a"}
        for n in range(40)
    ]
    db = new_store([found[:20], found[20:]])
    assert db.execute("SELECT count(*) FROM passage WHERE id < 0").get > 10
    for limit in (1, 7, 25, 40):
        assert asked(db, "a", limit) == expected(found, "a")[:limit]


def test_a_replaced_text_is_found_by_its_new_words_only(new_store):
    short = {"n": 1, "session": "sdk:one", "time_us": BASE_US, "agent": "", "role": "user", "text": "old"}
    long = short | {"text": "newer words", "time_us": BASE_US + 10**9}
    for batches in ([[short], [long]], [[long], [short]], [[short, long]], [[long, short, long]]):
        db = new_store(batches)
        assert asked(db, "old", 9) == []
        assert asked(db, "newer", 9) == [("sdk:one", "e1", BASE_US + 10**9)]
        assert db.execute("SELECT count(*) FROM passage").get == 1
        assert db.execute("SELECT count(*) FROM passage_text_docsize").get == 1


def test_a_batch_that_fails_leaves_nothing_behind(new_store):
    db = new_store([])
    folder = Fold(db, head_chars=300)
    p = {"n": 1, "session": "sdk:one", "time_us": BASE_US, "agent": "", "role": "user", "text": "a"}
    folder.add(event_of(p), 1, 1)
    with contextlib.suppress(ZeroDivisionError), database.transaction(db):
        folder.write()
        raise ZeroDivisionError
    folder.forget()
    assert asked(db, "a", 9) == []
    folder.add(event_of(p), 1, 1)
    with database.transaction(db):
        folder.write()
    assert len(asked(db, "a", 9)) == 1


def test_nothing_is_indexed_where_the_limit_is_nothing(new_store):
    p = {"n": 1, "session": "sdk:one", "time_us": BASE_US, "agent": "", "role": "user", "text": "a"}
    db = new_store([[p]], search_chars=0)
    assert db.execute("SELECT count(*) FROM passage").get == 0


def test_fields_of_any_kind_can_be_searched_but_not_without_end():
    fields = {"a": {"b": ["c"]}, "many": [["x"] * 10] * 1_000}
    event = ev.Event(id="e", kind="of.my.own", session="sdk:s", time_us=1, data=ev.Unknown(fields=fields))
    [found] = passages.of(event)
    assert found.kind == "event"
    assert "c" in found.text.split()
    assert len(found.text) < 5_000


def test_what_is_nested_too_deeply_is_not_searched():
    deep: object = ["w"]
    for _ in range(30_000):
        deep = [deep]
    event = ev.Event(
        id="e", kind="of.my.own", session="sdk:s", time_us=1, data=ev.Unknown(fields={"d": deep})
    )
    assert list(passages.of(event)) == []


# ── plans and premises ──


def plan(db, name):
    values = {
        **dict.fromkeys(("session_id", "sessions", "agent", "tool", "kind", "since_us", "until_us")),
        "words": '"a"',
        "from_id": 0,
        "until_id": 2**63 - 1,
        "most": 51,
    }
    return [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + statements("search")[name], values)]


def looked_up(steps):
    """The tables that are entered by their key, in this order, and none is scanned but the index."""
    scanned = [step.split()[1] for step in steps if step.startswith("SCAN")]
    assert scanned == ["t", "json_each"]  # the latter is a list of sessions, read once if there is one
    return [
        found[1]
        for step in steps
        if (found := re.match(r"SEARCH ([pstxe]) USING .*(?:PRIMARY KEY|rowid)", step))
    ]


def test_the_newest_are_read_from_the_index_in_order(new_store):
    """The index drives, gives its numbers falling (no sort), and everything else is looked up by primary key."""
    steps = plan(new_store([]), "newest")
    assert steps[0].startswith("SCAN t VIRTUAL TABLE INDEX")
    assert "M" in steps[0].rpartition("INDEX")[2]
    assert looked_up(steps) == ["p", "s", "x", "e"]
    assert not any("TEMP B-TREE" in step for step in steps)


def test_ranking_starts_from_the_index_too(new_store):
    steps = plan(new_store([]), "ranked")
    assert steps[0].startswith("SCAN t VIRTUAL TABLE INDEX")
    assert looked_up(steps) == ["p", "s", "x", "e"]


def test_columns_are_named_as_they_are_asked_for(new_store):
    p = {"n": 1, "session": "sdk:one", "time_us": BASE_US, "agent": "", "role": "user", "text": "a"}
    db = new_store([[p]])
    values = search._values(db, search.Question("a"))
    [row] = database.rows(db, statements("search")["newest"], **values, words='"a"')
    assert tuple(row) == search._COLUMNS


def test_one_tokenizer_everywhere():
    """The index, the queries and the marks must split words alike."""
    spelled = f"tokenize = '{' '.join(search.TOKENIZER)}'"
    assert spelled in sql_text("schema")
    assert spelled in sql_text("search")
    assert spelled in sql_text("migrations/0003_search")


def test_the_migration_makes_what_the_schema_has(new_store, tmp_path):
    """It can be run on a store that has everything, and twice on one that has nothing."""
    db = new_store([])
    want = "SELECT type, name, sql FROM sqlite_master WHERE name LIKE 'passage%' ORDER BY name"
    before = db.execute(want).fetchall()
    db.execute(sql_text("migrations/0003_search"))
    assert db.execute(want).fetchall() == before
    empty = apsw.Connection(str(tmp_path / "empty.db"))
    for _ in range(2):
        empty.execute(sql_text("migrations/0003_search"))
    assert empty.execute(want).fetchall() == before


@pytest.mark.parametrize("separator", [passages.SPLIT, context._BEGIN, context._END])
def test_what_marks_a_text_is_no_part_of_a_word(separator, new_store):
    query = search.query(new_store([]), f"one{separator}two")
    assert query.words[0].parts == ("one", "two")
