"""One record that nobody was ready for must not close the home: it is reported, and everything else answers."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys

import pytest

from holdfast.journal import format as fmt
from tests.e2e.conftest import CAPTURED
from tests.e2e.test_bad_input import GOOD, OTHER, line

TRILLION = 10**12


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


POISON = {
    "absurd token counts": line(
        uuid="p",
        type="assistant",
        message={
            "id": "m",
            "model": "claude-opus-5-5",
            "stop_reason": "end_turn",
            "usage": {
                "input_tokens": 2**53 - 1,
                "output_tokens": TRILLION,
                "cache_read_input_tokens": TRILLION,
            },
            "content": [],
        },
    ),
    "NaN in deep nesting": line(uuid="p").replace(
        b'"cwd"', b'"z":NaN,"deep":' + deep(500).encode() + b',"cwd"'
    ),
    "deep cost state": b'{"type":"cost-state","sessionId":"%s","totalCostUSD":1,"modelUsage":{"a":%s}}'
    % (OTHER.encode(), deep(900).encode()),
}


@pytest.mark.parametrize("name", POISON)
def test_a_hostile_line_leaves_everything_else_answerable(name, run, tmp_path):
    shutil.copy(GOOD, tmp_path)
    (tmp_path / f"{OTHER}.jsonl").write_bytes(line() + b"\n" + POISON[name] + b"\n" + line(uuid="z") + b"\n")
    assert run("import", tmp_path).returncode == 0
    found = {s["id"]: s for s in json.loads(run("sessions", "--json").stdout)["sessions"]}
    assert found[OTHER]["turns"] == 2
    assert found[GOOD.stem]["tool_calls"] == 3
    for args in (
        ["show", OTHER],
        ["tree", OTHER],
        ["timeline", OTHER],
        ["stats"],
        ["rebuild"],
        ["doctor"],
        [],
    ):
        assert run(*args).returncode == 0, args


@pytest.mark.parametrize(
    "event",
    [
        '{"kind":"llm.called","session":"s","fields":{"model":"claude-opus-5-5","input_tokens":10000000000000,"output_tokens":5}}',
        '{"kind":"x.y","session":"s","fields":{"a":' + deep(900) + "}}",
        '{"kind":"notice.raised","session":"s","message":"m","more":' + deep(150) + "}",
        '{"kind":"tool.used","session":"s","tool":"t","duration_ms":9223372036854775807,"status":"completed"}',
    ],
    ids=["absurd tokens", "deep fields", "deep extra", "absurd duration"],
)
def test_a_recorded_event_never_closes_the_home(event, run):
    assert run("record", stdin=f"{event}\n{event}\n").returncode == 0
    for args in (["sessions"], ["show", "s"], ["timeline", "s"], ["stats"], ["rebuild"], ["doctor"]):
        done = run(*args)
        assert done.returncode == 0, (args, done.stderr)


def test_an_intact_record_with_a_strange_id_is_reported_and_passed_over(run, home):
    run("record", stdin='{"kind":"notice.raised","session":"s","message":"before"}\n')
    strange = fmt.encode(
        "x", 1, "sdk", fmt.body_member(b'{"kind":"notice.raised","session":"s","message":"odd"}')
    )
    with (home / "journal" / "00000001.jsonl").open("ab") as segment:
        segment.write(b"\n" + strange + b"\n")
    run("record", stdin='{"kind":"notice.raised","session":"s","message":"after"}\n')
    entries = json.loads(run("timeline", "s", "--json").stdout)["entries"]
    assert [entry["text"] for entry in entries] == ["before", "odd", "after"]


def test_what_was_damaged_in_the_journal_is_read_again_from_its_source(run, home, tmp_path):
    source = tmp_path / f"{OTHER}.jsonl"
    source.write_bytes(b"".join(line(uuid=f"u{number}") + b"\n" for number in range(5)))
    run("import", source)
    before = run("show", OTHER, "--json").stdout
    segment = home / "journal" / "00000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"uuid": "u2"', b'"uuid": "uX"'))
    run("rebuild")
    assert json.loads(run("sessions", "--json").stdout)["sessions"][0]["turns"] == 4
    assert run("doctor").returncode == 40
    run("import", source)
    assert run("show", OTHER, "--json").stdout == before


def test_a_lost_end_of_the_journal_is_read_again_after_a_rebuild(run, home, tmp_path):
    source = tmp_path / f"{OTHER}.jsonl"
    source.write_bytes(b"".join(line(uuid=f"u{number}") + b"\n" for number in range(5)))
    run("import", source)
    segment = home / "journal" / "00000001.jsonl"
    os.truncate(segment, segment.stat().st_size - 300)
    run("rebuild")
    run("import", source)
    assert json.loads(run("sessions", "--json").stdout)["sessions"][0]["turns"] == 5


def test_a_directory_of_somebody_else_is_left_alone(run, tmp_path):
    project = tmp_path / "project"
    project.mkdir(mode=0o755)
    (project / "file").write_text("x")
    done = run("--home", project, "sessions")
    assert done.returncode == 10
    assert "not empty" in done.stderr
    assert project.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in project.iterdir()] == ["file"]


def test_children_forked_during_the_first_record_record_too(home):
    program = """
import os, threading, holdfast
for _ in range(3):
    holdfast.door.close()
    thread = threading.Thread(target=holdfast.record, args=("notice.raised",), kwargs={"session": "f", "message": "parent"})
    thread.start()
    child = os.fork()
    if child == 0:
        holdfast.record("notice.raised", session="f", message="child")
        os._exit(0)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
print("done")
"""
    program = program.replace("import os,", "import holdfast.door, warnings, os,", 1)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr


def test_keys_belong_to_their_session_however_it_is_named(run):
    for event in (
        '{"kind":"notice.raised","key":"k","message":"one"}',
        '{"kind":"notice.raised","key":"k","session":"default","message":"two"}',
        '{"event_type":"error","session_id":"A","key":"k","error_type":"E","error_message":"a"}',
        '{"event_type":"error","session_id":"B","key":"k","error_type":"E","error_message":"b"}',
    ):
        assert run("record", stdin=event + "\n").returncode == 0
    counts = {s["id"]: s["errors"] for s in json.loads(run("sessions", "--json").stdout)["sessions"]}
    assert counts == {"default": 0, "A": 1, "B": 1}
    assert json.loads(run("show", "default", "--json").stdout)["events"] == {"notice.raised": 1}


def test_a_file_that_cannot_be_read_is_not_counted_as_recorded(run, tmp_path):
    shutil.copy(GOOD, tmp_path)
    (tmp_path / f"{OTHER}.jsonl").symlink_to("/proc/self/mem")
    found = json.loads(run("import", tmp_path, "--json").stdout)
    assert found["files_done"] == found["files_total"] - len(found["unreadable"])


def test_sessions_below_linked_directories_are_found_once(run, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    shutil.copy(GOOD, real)
    (real / "circle").symlink_to(real)
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "linked").symlink_to(real)
    done = run("import", tmp_path / "projects", "--json")
    assert json.loads(done.stdout)["files_total"] == 1


def test_counts_are_the_same_after_an_interrupted_import(run, tmp_path):
    run("import", CAPTURED, env={"HOLDFAST_HOME": str(tmp_path / "whole")})
    whole = json.loads(run("doctor", "--json", env={"HOLDFAST_HOME": str(tmp_path / "whole")}).stdout)
    env = {"HOLDFAST_HOME": str(tmp_path / "cut")}
    killed = "import os, threading; threading.Timer(%s, lambda: os.kill(os.getpid(), 9)).start()\n" * 1
    for delay_s in ("0.15", "0.2", "0.25", "0.3"):
        code = (
            killed % delay_s
            + f"import sys; sys.argv[1:] = ['import', {str(CAPTURED)!r}]; import runpy; runpy.run_module('holdfast')"
        )
        subprocess.run([sys.executable, "-c", code], env=os.environ | env, capture_output=True, check=False)
    run("import", CAPTURED, env=env)
    cut = json.loads(run("doctor", "--json", env=env).stdout)
    assert cut["kept_types"] == whole["kept_types"]


def test_an_operation_with_escape_sequences_is_made_visible(run):
    event = {
        "kind": "tool.used",
        "session": "s",
        "tool": "W",
        "path": "/p",
        "operation": "wr\x1b]0;OWNED\x07ite",
    }
    run("record", stdin=json.dumps(event) + "\n")
    for view in ("show", "tree", "timeline"):
        assert "\x1b" not in run(view, "s").stdout


def test_doctor_reports_what_it_cannot_open(run, home):
    if os.geteuid() == 0:
        pytest.skip("root opens everything")
    run("import", GOOD)
    (home / "journal").chmod(0)
    try:
        done = run("doctor")
    finally:
        (home / "journal").chmod(0o700)
    assert done.returncode == 40


def test_doctor_quotes_the_paths_in_its_remedies(run, home):
    run("import", GOOD)
    open_to_all = home / "it's; open"
    open_to_all.mkdir(mode=0o755)
    open_to_all.chmod(0o755)
    (finding,) = (
        f for f in json.loads(run("doctor", "--json").stdout)["findings"] if "others may read" in f["what"]
    )
    assert shlex.split(finding["remedy"]) == ["chmod", "go=", str(open_to_all)]


def test_a_closed_standard_input_is_wrong_usage(home):
    command = f"'{sys.executable}' -m holdfast record <&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "closed" in done.stderr


def test_commands_work_where_the_working_directory_is_gone(home, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd '{gone}' && rmdir '{gone}' && '{sys.executable}' -m holdfast sessions"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
