"""`holdfast search` as a user runs it: what is found, in which order, how it is shown, and what no text can break."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from tests.e2e.conftest import CAPTURED, NOW, ask

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


def lines_of(*events):
    return "".join(json.dumps(event) + "\n" for event in events)


def said(text, at="2026-11-20T10:00:00Z", **more):
    return {"kind": "message.sent", "session": "s", "time": at, "fields": {"text": text, **more}}


@pytest.fixture
def recorded(run):
    """Record events of a program, then search."""

    def record_and_search(*events):
        if events:
            done = run("record", stdin=lines_of(*events))
            assert done.returncode == 0, done.stderr

        def search(text, *options):
            found = run("search", *options, "--json", "--", text)
            assert found.returncode == 0, found.stderr
            return json.loads(found.stdout)

        return search

    return record_and_search


def contexts(answer):
    return [hit["context"] for hit in answer["hits"]]


def marked(hit):
    return [hit["context"][m["from"] : m["to"]] for m in hit["matches"]]


def test_a_transcript_is_found_by_the_words_in_it(imported):
    home = imported(CAPTURED)
    [found] = ask(home, ["search", "--json", "--kind", "prompt", "please work"])
    hit = json.loads(found)["hits"][0]
    assert marked(hit) == ["please", "work"]
    assert hit["session"]
    [told] = ask(home, ["timeline", hit["session"], "--json"])
    assert hit["id"] in {entry["id"] for entry in json.loads(told)["entries"]}


def test_the_place_of_a_hit_leads_to_its_record(imported):
    home = imported(CAPTURED)
    [found] = ask(home, ["search", "--json", "error"])
    for hit in json.loads(found)["hits"]:
        with (home / "journal" / f"{hit['segment']:08d}.jsonl").open("rb") as segment:
            segment.seek(hit["offset"])
            assert hit["session"].encode() in segment.readline()


def test_newest_first_whatever_the_order_of_arrival(recorded):
    search = recorded(
        said("apple one", "2026-11-19T10:00:00Z"),
        said("apple three", "2026-11-21T10:00:00Z"),
        said("apple two", "2026-11-20T10:00:00.000001Z"),
        said("apple two, a little earlier", "2026-11-20T10:00:00Z"),
    )
    expected = ["apple three", "apple two", "apple two, a little earlier", "apple one"]
    assert contexts(search("apple")) == expected
    short = search("apple", "--limit", "2")
    assert contexts(short) == expected[:2]
    assert short["more"] is True


def test_ranked_puts_the_better_match_first(recorded):
    long = "pear " + "filler " * 200
    search = recorded(said(long, "2026-11-20T10:00:01Z"), said("pear pear pear", "2026-11-20T10:00:00Z"))
    assert contexts(search("pear"))[0].startswith("pear filler")
    ranked = search("pear", "--ranked")
    assert contexts(ranked)[0] == "pear pear pear"
    assert ranked["order"] == "rank"
    assert ranked["hits"][0]["score"] < ranked["hits"][1]["score"]


def test_words_are_all_needed_and_phrases_stand_together(recorded):
    search = recorded(
        said("one two three", "2026-11-20T10:00:02Z"), said("three two one", "2026-11-20T10:00:01Z")
    )
    assert len(search("three one")["hits"]) == 2
    assert contexts(search('"one two"')) == ["one two three"]
    assert contexts(search('"two o"*')) == ["three two one"]
    assert search("one four")["hits"] == []
    assert len(search("thr*")["hits"]) == 2
    assert search("thr")["hits"] == []


def test_case_and_accents_do_not_matter(recorded):
    search = recorded(said("Das CAFÉ in Zürich, déjà-vu"))
    for text in ("café", "cafe", "ZURICH", "deja vu", "DÉJÀ"):
        assert len(search(text)["hits"]) == 1, text


def test_identifiers_are_found_whole_and_by_their_parts(recorded):
    search = recorded(said("see src/foo/bar.py: my_function raised TypeError: bad --dry-run of parseConfig"))
    for text in (
        "my_function",
        "function",
        "foo/bar.py",
        "bar.py",
        "src/foo",
        "TypeError:",
        "typeerror",
        "--dry-run",
        "parseConfig",
        "parse*",
        "my_func*",
    ):
        assert len(search(text)["hits"]) == 1, text
    for text in ("function_my", "bar/foo", "Config", "my_func"):
        assert search(text)["hits"] == [], text
    assert marked(search("my_function")["hits"][0]) == ["my_function"]


def test_text_without_spaces_is_found_by_any_run_of_characters(recorded):
    search = recorded(said("日本語のテキストを検索する"), said("한국어 검색입니다", "2026-11-20T11:00:00Z"))
    for text in ("テキスト", "検索", "日本語", "本語の"):
        assert marked(search(text)["hits"][0]) == [text]
    assert marked(search("검색")["hits"][0]) == ["검색"]
    assert search("語本")["hits"] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "*",
        "-",
        '"',
        '""',
        '"""',
        '"*',
        "AND",
        "OR NOT",
        "NEAR(a b)",
        "NOT",
        "a AND",
        "text:a",
        "^a",
        "a + b",
        "(a",
        "{text}: a",
        "a\tb\nc",
        "';--",
        "\ud800 a",
        "🙂",
        "a" * 90_000,
        '"' + "a " * 40_000,
        "b " * 40_000,
        " ".join(f"w{n}" for n in range(12_000)),
        "é́́",
        "\ufdd0\ufdd1",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_any_text_is_a_query(text, home):
    ask(home, ["search", "--json", "--", text], ["search", "--", text])


def test_what_looks_like_syntax_is_only_words(recorded):
    search = recorded(
        said("cats AND dogs"),
        said("cats dogs", "2026-11-20T11:00:00Z"),
        said("NOT near", "2026-11-20T12:00:00Z"),
    )
    assert contexts(search("cats AND dogs")) == ["cats AND dogs"]
    assert contexts(search("NOT")) == ["NOT near"]
    assert len(search("text:cats")["hits"]) == 0
    assert len(search("cats - dogs *")["hits"]) == 2


def test_too_many_words_are_said_to_be_too_many(run, recorded):
    text = " ".join(f"w{n}" for n in range(70))
    search = recorded(said(text))
    answer = search(text)
    assert (len(answer["words"]), answer["words_left_out"], len(answer["hits"])) == (64, 6, 1)
    assert "6 words too many" in run("search", text).stdout


def test_nothing_found_says_what_was_searched(run, recorded):
    recorded(said("something"))
    shown = run("search", "nowhere", "--kind", "answer").stdout
    assert "nothing found for nowhere, kind answer" in shown
    assert "searched: 1 passage," in shown
    assert "2,000 characters" in shown
    assert "nothing to look for" in run("search", "---").stdout


def test_filters(recorded):
    search = recorded(
        {"kind": "tool.used", "session": "one", "agent": "worker-7", "time": "2026-11-18T10:00:00Z",
         "fields": {"tool": "Bash", "input": "make plum", "output": "plum made", "status": "completed"}},
        {"kind": "tool.used", "session": "one", "time": "2026-11-19T10:00:00Z",
         "fields": {"tool": "Read", "input": "plum.txt", "output": "no plum", "status": "failed"}},
        {"kind": "message.sent", "session": "two", "time": "2026-11-20T10:00:00Z",
         "fields": {"role": "user", "text": "plum?"}},
        {"kind": "message.sent", "session": "two", "agent": "worker-8", "time": "2026-11-21T10:00:00Z",
         "fields": {"role": "assistant", "text": "plum!"}},
        {"kind": "agent.started", "session": "two", "agent": "worker-8", "fields": {"agent_type": "gardener"}},
        {"kind": "error.raised", "session": "two", "fields": {"message": "plum rotten"}},
        {"kind": "of.my.own", "session": "two", "fields": {"deep": [{"est": "plum stone"}]}},
        {"kind": "session.started", "session": "two", "fields": {"title": "About plum trees"}},
    )  # fmt: skip

    def kinds(*args):
        return sorted(hit["kind"] for hit in search("plum", *args)["hits"])

    everything = ["answer", "error", "error", "event", "input", "input", "output", "prompt", "title"]
    assert kinds() == everything
    assert kinds("--session", "one") == ["error", "input", "input", "output"]
    assert kinds("--session", "tw") == ["answer", "error", "event", "prompt", "title"]
    assert kinds("--agent", "worker") == ["answer", "input", "output"]
    assert kinds("--agent", "worker-8") == kinds("--agent", "gardener") == ["answer"]
    assert kinds("--agent", "main") == ["error", "error", "event", "input", "prompt", "title"]
    assert kinds("--tool", "Bash") == ["input", "output"]
    assert kinds("--tool", "Read", "--kind", "error") == ["error"]
    assert kinds("--kind", "title") == ["title"]
    assert kinds("--since", "2026-11-19", "--until", "2026-11-20", "--kind", "prompt") == ["prompt"]
    assert kinds("--until", "2026-11-18") == ["input", "output"]
    assert kinds("--until", "2026-11-19T09:59:59Z") == ["input", "output"]
    assert kinds("--since", "2026-11-19T10:00:00Z", "--until", "2026-11-19T10:00:00Z") == ["error", "input"]


def test_wrong_filters_are_refused_in_words(run, recorded):
    recorded(said("a"))
    for args, code, complaint in (
        (("--since", "yesterday"), 2, "is no time"),
        (("--session", "nothing"), 3, "no session starts with"),
        (("--kind", "poem"), 2, "poem"),
        (("--limit", "0"), 2, "0 is not in the range"),
    ):
        done = run("search", "a", *args)
        assert done.returncode == code
        assert complaint in done.stderr


def test_context_comes_from_the_record_where_the_row_is_too_short(recorded):
    search = recorded(said("start " + "x " * 600 + "the needle is here " + "y " * 200))
    [hit] = search("needle")["hits"]
    assert hit["context_from"] == "record"
    assert marked(hit) == ["needle"]
    assert len(hit["context"]) < 300
    assert search("start")["hits"][0]["context_from"] == "row"


def test_only_the_beginning_of_long_texts_is_indexed(run, recorded):
    recorded(said("early " + "x " * 1500 + "late"))
    assert "nothing found" in run("search", "late").stdout
    assert "early" in run("search", "early").stdout
    run("rebuild", env={"HOLDFAST_SEARCH_SIZE_CHARS": "4000"})
    assert "nothing found" not in run("search", "late").stdout


def test_a_large_body_in_a_blob_gives_its_context(recorded):
    search = recorded(said("z " * 500 + "needle " + "y " * 200_000))
    [hit] = search("needle")["hits"]
    assert hit["context_from"] == "record"
    assert marked(hit) == ["needle"]


def test_a_hit_whose_record_is_damaged_is_shown_and_says_so(run, recorded, home):
    search = recorded(said("start " + "x " * 600 + "needle"))
    assert search("needle")["hits"][0]["context_from"] == "record"
    segment = home / "journal" / "00000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b"needle", b"noodle"))
    [hit] = search("needle")["hits"]
    assert hit["matches"] == []
    assert hit["context"].startswith("start x")
    assert "cannot be read" in hit["context_why"]
    assert "cannot be read" in run("search", "needle").stdout


def test_output_is_safe_on_a_terminal(run, recorded):
    recorded(said("evil \x1b[31m\x07 \u202e \x9b needle \x1b]0;title\x07 [bold]not bold[/bold]"))
    shown = run("search", "needle", env={"COLUMNS": "140"}).stdout
    assert "«needle»" in shown
    assert "[bold]not bold[/bold]" in shown
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown)


@pytest.mark.parametrize("width", [80, 140])
def test_a_hit_takes_one_line_and_at_most_two_of_context(width, run, recorded):
    recorded(
        said("needle " + "some words " * 300),
        {"kind": "session.started", "session": "s", "fields": {"title": "A long title " * 20}},
    )
    shown = run("search", "needle", env={"COLUMNS": str(width)}).stdout.splitlines()
    assert len(shown) == 3
    assert max(map(len, shown)) <= width
    assert "message" in shown[0]
    assert "«needle»" in shown[1]


# ── forks, order of arrival, interruption ──


def forked_pair(home):
    [listed] = ask(home, ["sessions", "--json"])
    [fork] = [s for s in json.loads(listed)["sessions"] if s["forked_from"]]
    return fork["id"], fork["forked_from"]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_copied_line_is_found_once_in_its_original(backwards, imported):
    sources = [CAPTURED / "kill9-foreground-subagent", CAPTURED / "fork-after-kill9"]
    home = imported(*(reversed(sources) if backwards else sources))
    fork, original = forked_pair(home)
    [told] = ask(home, ["timeline", fork, "--json"])
    copied = [e for e in json.loads(told)["entries"] if e["inherited"] and e["kind"] == "turn.started"]
    assert copied
    words = copied[0]["text"][:60]
    everywhere, in_fork = ask(
        home, ["search", "--json", f'"{words}"'], ["search", "--json", f'"{words}"', "--session", fork]
    )
    assert {hit["session"] for hit in json.loads(everywhere)["hits"] if hit["kind"] == "prompt"} == {original}
    assert [hit["inherited"] for hit in json.loads(in_fork)["hits"] if hit["kind"] == "prompt"] == [True]


WORDS = ("the", "file", "error", "agent", "sleep*", '"tool call"')


def answers(home):
    """What is found, without the places in the journal, which do depend on the order of arrival."""
    asked = [
        ["search", "--json", "--limit", "1000", *more, word] for word in WORDS for more in ((), ("--ranked",))
    ]
    out = [json.loads(text) for text in ask(home, *asked)]
    assert sum(len(answer["hits"]) for answer in out) > 50
    for answer in out:
        for hit in answer["hits"]:
            del hit["segment"], hit["offset"]
    return out


def test_the_same_hits_however_records_arrive(imported, tmp_path):
    home = imported(CAPTURED)
    expected = answers(home)
    imported(CAPTURED, into=home)
    shutil.copytree(CAPTURED, tmp_path / "copy")
    imported(tmp_path / "copy", into=home)
    assert answers(home) == expected
    ask(home, ["rebuild"])
    assert answers(home) == expected
    files = sorted(path for path in CAPTURED.rglob("*") if path.name.endswith((".jsonl", ".meta.json")))
    assert answers(imported(*reversed(files))) == expected


@pytest.mark.slow
def test_a_killed_import_leaves_no_passage_out_and_none_twice(imported, tmp_path):
    expected = answers(imported(CAPTURED))
    home = tmp_path / "killed"
    for wait_s in (0.15, 0.25, 0.35):
        process = subprocess.Popen(
            [sys.executable, "-m", "holdfast", "import", str(CAPTURED)],
            env=os.environ | {"HOLDFAST_HOME": str(home), "HOLDFAST_NOW": NOW},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(timeout=wait_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait()
    imported(CAPTURED, into=home)
    assert answers(home) == expected


def test_a_store_that_is_not_indexed_yet_says_so(run, recorded, home):
    """Another process holds the lock and is about to fold the store of an earlier projection again."""
    recorded(said("one"))
    assert run("search", "one").returncode == 0
    db = apsw.Connection(str(home / "store.db"))
    db.execute("UPDATE meta SET value = '1' WHERE key = 'projection_version'")
    db.close()
    with (home / "writer.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = json.loads(run("search", "one", "--json").stdout)
        assert (answer["index"], answer["passages"], answer["hits"]) == ("building", None, [])
        assert "is being built" in run("search", "one").stdout
    assert json.loads(run("search", "one", "--json").stdout)["index"] == "complete"


def test_doctor_counts_what_can_be_searched(run, recorded, home):
    recorded(said("one"), said("two"))
    assert run("search", "one").returncode == 0
    assert run("doctor").returncode == 0
    db = apsw.Connection(str(home / "store.db"))
    db.execute("DELETE FROM passage_text WHERE rowid = (SELECT max(id) FROM passage)")
    db.execute("UPDATE meta SET value = value + 5 WHERE key = 'passages'")
    db.close()
    shown = run("doctor")
    assert shown.returncode == 40
    assert "the roll-up of passages says 7, the rows say 2" in shown.stdout.replace("\n", " ")
    assert "texts that can be searched says 1, the rows say 2" in " ".join(shown.stdout.split())
    assert run("rebuild").returncode == 0
    assert run("doctor").returncode == 0
