"""Today's tables are the sum of the steps, and each step may be taken twice."""

from __future__ import annotations

import re
from itertools import pairwise

import apsw
import pytest

from holdfast.store import database, schema
from holdfast.store.migrate import take
from tests.store import version


@pytest.fixture(params=["ours", "later"])
def known(request, tmp_path):
    """Our schema, and one with two steps more."""
    return schema.ours() if request.param == "ours" else schema.Schema(version.later(tmp_path / "sql"))


def stepped(steps, *, times=1):
    db = apsw.Connection(":memory:")
    for step in steps:
        for _ in range(times):
            take(db, step)
    return db


def test_todays_tables_are_the_sum_of_the_steps(known):
    assert schema.shape_of(stepped(known.steps)) == known.shape


def test_each_step_is_safe_twice(known):
    assert schema.shape_of(stepped(known.steps, times=2)) == known.shape


def test_all_steps_again_on_a_finished_store_change_nothing(known):
    db = stepped(known.steps)
    for step in known.steps:
        take(db, step)
    assert schema.shape_of(db) == known.shape


def test_the_numbers_of_the_steps_rise_from_one_and_name_the_version(known):
    numbers = [step.number for step in known.steps]
    assert numbers[0] == 1
    assert all(a < b for a, b in pairwise(numbers))
    assert numbers[-1] == known.version


def test_the_version_of_a_new_store_is_that_of_the_last_step(tmp_path):
    db = database.create(tmp_path / "s.db")
    assert database.versions(db) == {
        "schema_version": schema.ours().version,
        "projection_version": database.PROJECTION_VERSION,
    }
    assert schema.ours().missing(db) == []


def test_no_two_steps_have_the_same_number():
    files = [file.name for file in (schema.ours()._directory / "migrations").iterdir()]
    numbers = [name[:4] for name in files]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\d{4}_\w+\.sql", name) for name in files)


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE scan_hint",
        "ALTER TABLE session RENAME COLUMN title TO heading",
        "ALTER TABLE cursor ADD COLUMN more TEXT",
        "DROP INDEX event_kind",
        "DROP TRIGGER llm_shared",
        "DROP VIEW known_agent; CREATE VIEW known_agent AS SELECT * FROM agent",
    ],
)
def test_other_tables_than_ours_are_noticed(sql):
    db = stepped(schema.ours().steps)
    db.execute(sql)
    assert schema.ours().missing(db)


def test_what_somebody_added_is_no_harm():
    db = stepped(schema.ours().steps)
    db.execute("CREATE TABLE mine (a); CREATE INDEX mine_a ON mine (a); ANALYZE")
    assert schema.ours().missing(db) == []


def test_statements_are_told_apart_also_around_triggers_and_comments():
    sql = "-- one; two\nCREATE TABLE a (x TEXT DEFAULT ';');\nCREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END;\n-- end;\n"
    first, second = schema.statements_of(sql)
    assert first.endswith("DEFAULT ';');")
    assert second.endswith("END;")


def test_questions_need_a_step_that_does_not_say_otherwise(tmp_path):
    latest = schema.ours().version
    assert schema.Schema(version.later(tmp_path / "a", optional=False)).oldest_readable == latest + 2
    assert schema.Schema(version.later(tmp_path / "b")).oldest_readable == schema.ours().oldest_readable
