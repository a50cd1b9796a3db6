"""The tables of `holdfast export --format parquet` hold what the answers say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.e2e.conftest import CAPTURED, ask

parquet = pytest.importorskip("pyarrow.parquet")
TABLES = ("sessions", "agents", "spans", "llm_calls", "events")


@pytest.fixture
def tables(imported, run, tmp_path):
    home = imported(CAPTURED)
    done = run("export", tmp_path / "out", "--format", "parquet", "--json", env={"HOLDFAST_HOME": str(home)})
    assert (done.returncode, done.stderr) == (0, "")
    read = {name: parquet.read_table(tmp_path / "out" / f"{name}.parquet") for name in TABLES}
    assert json.loads(done.stdout)["tables"] == {name: len(table) for name, table in read.items()}
    return home, read


def own(table):
    return [row for row in table.to_pylist() if not row["inherited"]]


def test_counts_and_sums_are_those_of_the_statistics(tables):
    home, read = tables
    stats, listed = (json.loads(text) for text in ask(home, ["stats", "--json"], ["sessions", "--json"]))
    calls = own(read["llm_calls"])
    for name in ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h"):
        told = sum(model["tokens"][name] for model in stats["models"])
        assert sum(row[f"{name}_tokens"] or 0 for row in calls) == told
    assert sum(row["cost_pico_usd"] for row in calls) == sum(
        model["cost_pico_usd"] for model in stats["models"]
    )
    assert len(calls) == sum(model["llm_calls"] for model in stats["models"])
    tools = [row for row in own(read["spans"]) if row["kind"] == "tool" and row["name"] is not None]
    assert len(tools) == sum(tool["calls"] for tool in stats["tools"])
    for tool in stats["tools"]:
        ended = [row for row in tools if row["name"] == tool["tool"] and row["status"] == "completed"]
        assert len(ended) == tool["completed"]
    assert len(read["agents"]) == sum(row["agents"] for row in stats["agent_types"])
    by_id = {row["session"]: row for row in read["sessions"].to_pylist()}
    assert set(by_id) == {one["id"] for one in listed["sessions"]}
    for one in listed["sessions"]:
        assert by_id[one["id"]]["workspace"] == one["workspace"]
        assert by_id[one["id"]]["started_at"].strftime("%Y-%m-%dT%H:%M:%S") == one["started_at"][:19]


def test_columns_have_types_and_unknown_is_null(tables):
    _, read = tables
    types = {field.name: str(field.type) for table in read.values() for field in table.schema}
    assert types["started_at"] == types["at"] == "timestamp[us, tz=UTC]"
    assert types["cost_pico_usd"] == types["input_tokens"] == "int64"
    assert (types["inherited"], types["data"], types["reported_cost_usd"]) == ("bool", "string", "double")
    assert read["spans"]["exit_code"].null_count > 0
    for row in read["events"].to_pylist():
        assert isinstance(json.loads(row["data"]), dict)


def test_one_session_only_and_what_is_refused(imported, run, tmp_path):
    home = imported(CAPTURED)
    env = {"HOLDFAST_HOME": str(home)}
    out = tmp_path / "out"
    assert run("export", out, "--format", "parquet", "--session", "3e8f6aeb", env=env).returncode == 0
    assert {row["session"][:8] for row in parquet.read_table(out / "spans.parquet").to_pylist()} == {
        "3e8f6aeb"
    }
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    for args in ([out], [home / "out"], ["/"], [tmp_path / "new", "--since", "7d"], []):
        done = run("export", *args, "--format", "parquet", env=env)
        assert (done.returncode, "hint:" in done.stderr) == (2, True)
    assert not (tmp_path / "new").exists()
    empty = tmp_path / "empty"
    assert run("export", empty, "--format", "parquet").returncode == 0
    assert parquet.read_table(empty / "events.parquet").num_rows == 0


def test_without_pyarrow_the_error_says_what_to_install(home, tmp_path):
    hidden = "import sys; sys.modules['pyarrow'] = None; from holdfast.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "export", str(tmp_path / "out"), "--format", "parquet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "pip install 'holdfast[parquet]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_no_other_command_loads_it():
    code = "import sys, holdfast.exchange, holdfast.transfer.tables; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
