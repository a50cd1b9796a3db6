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


def read_beside(steps, questions):
    """What steps that questions do without make, and questions name all the same."""
    words = set(re.findall(r"\w+", questions))
    made = {name for step in steps if not step.needed for name in re.findall(version.MADE, step.sql)}
    return made & words


def questions_of_today():
    """Every named statement, but for those that fold."""
    files = [file for file in schema.ours()._directory.iterdir() if file.name.endswith(".sql")]
    return "\n".join(file.read_text() for file in files if file.name not in ("schema.sql", "fold.sql"))


def test_no_question_reads_what_a_step_adds_that_it_is_said_to_do_without(known):
    """Otherwise such a question would be asked of an older store, beside a process of an older version."""
    assert read_beside(known.steps, questions_of_today()) == set()


def test_a_step_that_is_wrongly_called_dispensable_would_be_noticed(tmp_path):
    steps = schema.Schema(version.later(tmp_path / "sql")).steps
    assert read_beside(steps, "SELECT further FROM extra") == {"further", "extra"}


def test_the_same_thing_made_with_if_not_exists_is_the_same():
    made = [
        "CREATE TABLE {} t (a INTEGER PRIMARY KEY, b TEXT UNIQUE)",
        "CREATE INDEX {} i ON t (b) WHERE b > 0",
        "CREATE VIEW {} v AS SELECT a FROM t",
        "CREATE TRIGGER {} g AFTER INSERT ON t BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE {} f USING fts5 (text, content = '', contentless_delete = 1)",
    ]
    shapes = []
    for words in ("", "IF NOT EXISTS"):
        db = apsw.Connection(":memory:")
        for sql in made:
            db.execute(sql.format(words))
            assert schema.is_done(db, sql.format(words))
        shapes.append(schema.shape_of(db))
    assert shapes[0] == shapes[1]


def test_questions_need_a_step_that_does_not_say_otherwise(tmp_path):
    latest = schema.ours().version
    assert schema.Schema(version.later(tmp_path / "a", optional=False)).oldest_readable == latest + 2
    assert schema.Schema(version.later(tmp_path / "b")).oldest_readable == schema.ours().oldest_readable
