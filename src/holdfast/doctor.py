"""Compare what Holdfast claims with what is there.

A finding is a `fault` (something to act on; `holdfast doctor` then exits with 40) or a `notice` (worth knowing: a source
line that its tool left torn is nobody's to repair here). Nothing is changed by looking.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from holdfast import background, definition_check, forgotten, premises, redaction_rules, service, units
from holdfast.definitions import trouble
from holdfast.errors import HoldfastError, RuleError, ServiceError
from holdfast.journal import blobs, chain, reader, sealed, sealing, segments
from holdfast.premises import file_system
from holdfast.redact import gate, rules
from holdfast.release import __version__
from holdfast.store import asking, database, lock, migrate, search, upkeep
from holdfast.store.statements import statements
from holdfast.supervise import look

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.home import Home

_SAFE_SQLITE = (3, 51, 3)  # the first release without the WAL-reset race
_MOST_PROBLEMS = 1000
_UNCHECKED = "unchecked"  # the kind of a field that was taken out whole
_SET_ASIDE = {  # the end of a file's name → what it is
    upkeep.DAMAGED: "a damaged store that was set aside; a new one was folded from the journal",
    upkeep.AHEAD: "a store that knows records which the journal does not hold any more: segments were removed or cut",
    upkeep.NEWER: "a store of a newer Holdfast that was set aside; one for this version was folded from the journal",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found: `what` and `where`, the byte range where there is one, and what to do about it."""

    severity: str
    what: str
    where: str
    remedy: str
    start_byte: int | None = None
    end_byte: int | None = None


@dataclass(frozen=True, slots=True)
class Redaction:
    """What takes secrets out: "hyperscan" or "re"; how many rules (None: the user's cannot be used), and how many are the user's."""

    engine: str
    rules: int | None
    own_rules: int | None


@dataclass(frozen=True, slots=True)
class Examination:
    """What was looked at, and what was found."""

    findings: list[Finding]
    records: int
    segments: int
    journal_bytes: int
    blobs: int
    source_files: int
    kept_types: dict[str, int]
    redaction: Redaction

    @property
    def faults(self) -> int:
        return sum(finding.severity == "fault" for finding in self.findings)


def examine(home: Home, unreadable: list[tuple[str, str]]) -> Examination:
    """Look at everything in a home, reading the whole journal and every blob.

    Args:
        home: the home.
        unreadable: sources that a catch-up just could not read, with the reason.
    """
    redaction, about_rules = _redaction(home)
    findings = [
        *_modes(home.path),
        *_environment(home),
        *_unfinished(home),
        *about_rules,
        *_service(home),
        *_agents(home),
    ]
    records, unchecked, named = 0, 0, dict[str, int]()
    for number in _segments(home, findings):
        try:
            for item in reader.read_segment(home.journal, number):
                if isinstance(item, reader.Damage):
                    findings.append(_damage(home, item))
                    continue
                records += 1
                unchecked += bool(item.record.r and _UNCHECKED in item.record.r)
                if item.record.f is not None and item.record.f.sha256 not in named:
                    named[item.record.f.sha256] = item.record.f.size
                    findings.extend(_blob(home, item))
        except OSError as exc:
            findings.append(_closed(segments.present(home.journal, number), exc))
    findings += _not_looked_at(home, unchecked)
    for found_by in (_tails, _missing, _leftovers):
        try:
            findings.extend(found_by(home))
        except OSError as exc:
            findings.append(_closed(home.path, exc))
    kept: dict[str, int] = {}
    files = 0
    try:
        db = home.reader()
        findings.extend(_store(home, db))
        findings.extend(_definitions(home, db))
        kept = {row[0]: row[1] for row in db.execute(statements("queries")["kept_types"])}
        files = db.execute("SELECT count(*) FROM source_file").get
    except (HoldfastError, apsw.Error, OSError) as exc:
        remedy = getattr(exc, "hint", None) or "holdfast rebuild"
        findings.append(Finding("fault", f"the store cannot be read: {exc}", str(home.path), remedy))
    findings += [
        Finding(
            "fault", f"cannot be read: {why}", path, "give yourself read access, then run holdfast import"
        )
        for path, why in unreadable
    ]
    sizes = _sizes(home)
    return Examination(findings, records, len(sizes), sum(sizes), len(named), files, kept, redaction)


def _segments(home: Home, findings: list[Finding]) -> list[int]:
    try:
        return segments.numbers(home.journal)
    except OSError as exc:
        findings.append(_closed(home.journal, exc))
        return []


def _sizes(home: Home) -> list[int]:
    """Bytes of each segment that can be looked at; the others are findings already."""
    found = []
    for number in _segments(home, []):
        with contextlib.suppress(OSError):
            found.append(reader.size(home.journal, number))
    return found


def _closed(path: Path, exc: OSError) -> Finding:
    return Finding("fault", f"cannot be read: {exc.strerror or exc}", str(path), "give yourself access to it")


def _modes(root: Path) -> Iterator[Finding]:
    """Everything in the home is for its owner only."""
    for directory, names, files in os.walk(root):
        itself = (
            [""] if directory == str(root) else []
        )  # any other directory is among the names of its parent
        for name in [*itself, *names, *files]:
            path = os.path.join(directory, name) if name else directory  # noqa: PTH118 - os.walk speaks strings
            try:
                found = os.lstat(path)
            except FileNotFoundError:  # another process just removed it
                continue
            if found.st_mode & 0o077 and not os.path.islink(path):  # noqa: PTH114
                yield Finding(
                    "fault",
                    f"others may read it (mode {found.st_mode & 0o777:o})",
                    path,
                    f"chmod go= {shlex.quote(path)}",
                )
            if found.st_uid != os.geteuid():
                yield Finding(
                    "fault", f"it belongs to user {found.st_uid}", path, f"chown it to user {os.geteuid()}"
                )


def _unfinished(home: Home) -> Iterator[Finding]:
    """Sessions that a person forgot, and of which the home may still hold something."""
    if waiting := len(home.forgotten().unfinished):
        what = f"sessions that are not wholly forgotten yet: {waiting}"
        yield Finding("fault", what, str(home.path / forgotten.NAME), "holdfast forget")


def _environment(home: Home) -> Iterator[Finding]:
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < _SAFE_SQLITE:
        yield Finding(
            "fault",
            f"SQLite {apsw.sqlite_lib_version()} can corrupt a store that is read while it is written",
            "apsw",
            "pip install --upgrade apsw",
        )
    space = os.statvfs(home.path)
    if space.f_bavail * space.f_frsize < 64 << 20:
        yield Finding("fault", "less than 64 MB of disk space is left", str(home.path), "make room")
    if file_system(home.path) is None:
        yield Finding(
            "notice",
            "the type of its file system is unknown",
            str(home.path),
            "keep the home on a local disk",
        )


def _service(home: Home) -> Iterator[Finding]:
    """The service that runs, and the one that the system is to start."""
    if (who := service.running(home.path)) is not None:
        if who.holdfast != __version__:
            what = f"the service is of another version: {who}"
            yield Finding("notice", what, str(home.path), "holdfast down, then start it again")
        problem = (service.ask(home.path, "status") or {}).get("problem")
        if problem:
            yield Finding(
                "fault", f"the service is in trouble: {problem}", str(home.path), "see what it says"
            )
        for words in trouble.kept(home.path / asking.RUN):
            yield Finding(
                "notice", f"the service has trouble with {words}", str(home.path), "see what it says"
            )
    for system in units.SYSTEMS:
        with contextlib.suppress(ServiceError):  # the home's name cannot stand in a unit
            yield from _unit(system, units.unit(system, home.settings, os.environ).path)


def _agents(home: Home) -> Iterator[Finding]:
    """What is not as it should be with agents that were started here."""
    run = look.run_directory(home.path)
    for one in map(look.look, look.agent_directories(run)):
        place = str(run / one.id)
        if one.problem is not None:
            yield Finding(
                "fault",
                f"what was asked for of an agent cannot be read: {one.problem}",
                place,
                f"holdfast rm {one.id}",
            )
        if one.last is not None and one.last.state == "unshimmed":
            what = f"agent {one.id} runs, and its shim is gone: how it ends will not be known"
            yield Finding("notice", what, place, "nothing, or stop it and start it again")


def _unit(system: str, path: Path) -> Iterator[Finding]:
    if not path.exists():
        return
    try:
        ends_agents = units.ends_agents(path)
    except ServiceError as exc:
        what = f"what should start the service cannot be read: {exc}"
        yield Finding("fault", what, str(path), "holdfast service install, when nothing else stands there")
        return
    if ends_agents:
        what = "it lets the system end the agents that the service started, when the service ends"
        yield Finding("fault", what, str(path), "holdfast service install")
    if system == "systemd" and units.lingers(getpass.getuser()) is False:
        what = "the service ends when you log out"
        yield Finding("notice", what, str(path), "loginctl enable-linger")


def _redaction(home: Home) -> tuple[Redaction, list[Finding]]:
    """The gate at work and its rules, and what is wrong with them."""
    findings = []
    if gate.engine() != "hyperscan":
        what = (
            "secrets are looked for without hyperscan: recording takes about a thousand times longer for it"
        )
        findings.append(Finding("notice", what, "hyperscan", "pip install hyperscan"))
    path = home.path / rules.FILE_NAME
    try:
        count, own = len(rules.load(path).shapes), redaction_rules.own_count(path)
    except RuleError as exc:
        what = f"your rules of redaction cannot be used, so nothing is recorded: {exc}"
        remedy = "mend the file, or move it away; `holdfast redact rules` says when it can be used"
        return Redaction(gate.engine(), None, None), [*findings, Finding("fault", what, str(path), remedy)]
    return Redaction(gate.engine(), count, own), findings


def _not_looked_at(home: Home, records: int) -> Iterator[Finding]:
    if records:
        what = f"records in which a text was taken out whole, because it could not be looked at in time: {records}"
        remedy = "its source may still hold it: `holdfast redact check` on that shows what was in the way"
        yield Finding("notice", what, str(home.journal), remedy)


def _damage(home: Home, item: reader.Damage) -> Finding:
    where = str(segments.present(home.journal, item.segment))
    if item.newer:
        remedy = "pip install --upgrade holdfast"
        return Finding("fault", f"a record {item.why}", where, remedy, item.start, item.end)
    remedy = (
        "every other record is intact; if the source still exists: holdfast rebuild, then holdfast import"
    )
    return Finding("fault", f"damaged: {item.why}", where, remedy, item.start, item.end)


def _blob(home: Home, item: reader.Found) -> Iterator[Finding]:
    assert item.record.f is not None
    try:
        blobs.verify(home.blobs, item.record.f)
    except HoldfastError as exc:
        remedy = (
            "restore it from a backup; if the source still exists: holdfast rebuild, then holdfast import"
        )
        yield Finding("fault", str(exc), str(home.blobs / item.record.f.sha256), remedy)


def _tails(home: Home) -> Iterator[Finding]:
    for tail in reader.tails(home.journal):
        where = str(segments.present(home.journal, tail.segment))
        what = "an unfinished record: its writer is at it, or was killed before it acknowledged it"
        yield Finding(
            "notice",
            what,
            where,
            "nothing; the next record starts on a line of its own",
            tail.start,
            tail.end,
        )


def _missing(home: Home) -> Iterator[Finding]:
    """Segments that must have been there and are not, and sealed ones that are not as they were sealed."""
    named = {seal.segment: seal for seal in chain.seals(home.journal)}
    there = set(segments.numbers(home.journal))
    for number in sorted(set(range(1, max([*there, *named], default=0) + 1)) - there):
        size = f" of {named[number].size} bytes" if number in named else ""
        yield Finding(
            "fault",
            f"a segment{size} is missing",
            str(segments.sealed_path(home.journal, number)),
            "restore it from a backup; `holdfast journal verify` looks at the others",
        )
    plain = set(segments.plain_numbers(home.journal))
    for number in segments.sealed_numbers(home.journal):
        path = segments.sealed_path(home.journal, number)
        with sealed.opened(path) as segment:
            seal = segment.seal
        known = named.get(number)
        if number not in plain and (seal is None or not (seal == known or sealing.replaces(seal, known))):
            what = "its seal is damaged" if seal is None else "its seal is not the one that the chain names"
            remedy = "`holdfast journal verify` reads all of it; what can be read is answered from"
            yield Finding("fault", what, str(path), remedy)


def _leftovers(home: Home) -> Iterator[Finding]:
    for name in sorted(os.listdir(home.blobs)):  # noqa: PTH208 - names only
        if name.startswith(blobs.TEMPORARY_PREFIX):
            what = "a blob whose writer was stopped before it was complete; no record names it"
            yield Finding(
                "notice", what, str(home.blobs / name), "it may be deleted when nothing is importing"
            )
    for name in sorted(os.listdir(home.path)):  # noqa: PTH208
        for ending, what in _SET_ASIDE.items():
            if name.endswith(ending):
                lost = ending == upkeep.AHEAD
                remedy = (
                    "restore the journal from a backup, then `holdfast rebuild`; delete this file when nothing is to be had"
                    if lost
                    else "delete it when you no longer need to look at it"
                )
                yield Finding("fault" if lost else "notice", what, str(home.path / name), remedy)
    for path, _ in premises.temporaries(home.path):
        what = "what a first run that was stopped left"
        yield Finding("notice", what, str(path), "it may be deleted when no command is running")
    yield from _backups(home.path / migrate.BACKUPS)


def _backups(directory: Path) -> Iterator[Finding]:
    """Copies of older stores; they are never needed, but make the way back short."""
    for path in sorted(directory.glob("*store-schema-*")) if directory.is_dir() else ():
        size_mb = path.stat().st_size / 1e6
        what = f"a copy of the store from before its tables were brought up to date ({size_mb:.1f} MB)"
        remedy = "it may be deleted: the store can be folded from the journal again"
        yield Finding("notice", what, str(path), remedy)


def _store(home: Home, db: apsw.Connection) -> Iterator[Finding]:
    remedy = "holdfast rebuild"
    for (answer,) in db.execute("PRAGMA quick_check(10)"):
        if answer != "ok":
            yield Finding("fault", f"the store is damaged: {answer}", str(home.path / database.LINK), remedy)
    for what in _wrong_rollups(db):
        yield Finding("fault", what, str(home.path / database.LINK), remedy)
    bad = db.execute("SELECT count(*) FROM event WHERE kind = 'invalid'").get
    if bad:
        what = f"recorded events that do not fit their kind: {bad}"
        yield Finding(
            "notice",
            what,
            "programs",
            "`holdfast timeline SESSION` says why; record with --strict to refuse them",
        )
    yield from _folding(home, db)
    behind = database.backlog_bytes(db, home.journal)
    if behind:
        yield Finding(
            "notice",
            f"{behind} bytes of the journal are not folded yet",
            str(home.journal),
            "any command folds them",
        )
    count = db.execute(statements("queries")["problem_count"]).get
    for place, start, end, why in db.execute(statements("queries")["problems"], {"most": _MOST_PROBLEMS}):
        if not place.startswith("journal segment "):  # those are found above, by reading
            what = f"not understood: {why}"
            yield Finding(
                "notice", what, place, "it is kept in the journal; everything around it was read", start, end
            )
    if count > _MOST_PROBLEMS:
        yield Finding(
            "notice",
            f"{count - _MOST_PROBLEMS} more lines that were not understood",
            "sources",
            "fix these first",
        )


def _definitions(home: Home, db: apsw.Connection) -> Iterator[Finding]:
    """What is kept of definitions, and whether it is what is recorded."""
    for one in definition_check.check(home, db):
        yield Finding("fault" if one.is_fault else "notice", one.what, one.where, one.remedy)


def _folding(home: Home, db: apsw.Connection) -> Iterator[Finding]:
    """A store that waits to be folded again; when nobody is at it, what the last try said."""
    if not database.must_fold_again(db):
        return
    where = str(home.path / database.LINK)
    holder = lock.holder(home.path)
    if holder is not None:
        what = f"its rows are those of an earlier fold; {holder} is at work on it"
        yield Finding("notice", what, where, "nothing: answers say how old they are until it is done")
        return
    said = background.last_words(home.path)
    what = "its rows are those of an earlier fold, and it is not folded again yet"
    yield Finding(
        "notice" if said is None else "fault",
        what if said is None else f"{what}: {said}",
        where,
        "holdfast rebuild",
    )


def _wrong_rollups(db: apsw.Connection) -> Iterator[str]:
    """Roll-ups claim to be the sum of rows; count again."""
    for name, recount in statements("recount").items():
        wrong = db.execute(recount).get
        if wrong:
            yield f"the roll-up {name} differs from its rows in {wrong} places"
    if not search.is_indexed(db):
        return
    for name, claimed in (
        ("passages", statements("search")["passage_count"]),
        ("texts that can be searched", "SELECT count(*) FROM passage_text_docsize"),
    ):
        a, b = db.execute(claimed).get, db.execute("SELECT count(*) FROM passage").get
        if a != b:
            yield f"the roll-up of {name} says {a}, the rows say {b}"
