"""What programs are answered about definitions (`definitions_client.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from holdfast.definitions.findings import Finding


class HiddenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that would count without another one.

    Attributes:
        path: as text, with surrogate escapes where it is no UTF-8, as `os.fsencode` takes it.
        sha256: None: its content could not be read.
        why: it is hidden.
    """

    path: str
    tier: str
    sha256: str | None
    size_bytes: int | None
    why: str


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """The file that says what an agent is, as it lay when it was asked for. None: it does not say, or that is not known.

    Attributes:
        tool: whose agent it is: claude, codex or custom.
        tier: managed, project, user, plugin or system.
        path: as text, with surrogate escapes where it is no UTF-8, as `os.fsencode` takes it.
        sha256: of its content, which names the revision; None: it could not be read.
        recorded: whether this content is kept in the home, so that history has it.
        text: all of it; None: it could not be read, or is no UTF-8.
        body: what the agent is told.
        counts: whether its tool takes this file here (`counts_why`); None: it was asked for by its revision.
        grade: observed, or inferred: a rule of Holdfast had to decide which file counts (`grade_why`).
        hides: the files of its name that would count without it, the strongest first.
        metadata: its keys with plain values.
        validity: valid, invalid or unchecked (its content could not be read).
        score: from 0 to 100.
        findings: what is wrong with it, or worth knowing: level, code, text, hint, line.
    """

    name: str
    tool: str
    tier: str
    path: str
    sha256: str | None
    size_bytes: int | None
    recorded: bool
    text: str | None
    body: str
    counts: bool | None
    counts_why: str
    grade: str
    grade_why: str | None
    hides: tuple[HiddenFile, ...]
    aliases: tuple[str, ...]
    type: str | None
    description: str | None
    model: str | None
    tools: tuple[str, ...] | None
    capabilities: tuple[str, ...]
    specialisations: tuple[str, ...]
    metadata: dict[str, Any]
    validity: str
    score: int | None
    findings: tuple[Finding, ...]


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent is told, and of which revision of which definition that was made.

    Attributes:
        sha256: of the definition's content.
        text_sha256: of `text`.
        recorded, counts, grade, hides: as in `Definition`.
        variables: those that were put in, in the order in which they stand in the text.
        sections: titles of those that were put behind it.
    """

    text: str
    text_sha256: str
    name: str
    tool: str
    tier: str
    path: str
    sha256: str
    recorded: bool
    counts: bool | None
    grade: str
    hides: tuple[HiddenFile, ...]
    variables: tuple[str, ...]
    sections: tuple[str, ...]


class DefinitionChange(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a definition, as it is recorded. None: it is not known, or there is none.

    Attributes:
        id: of the event; the same change has the same one for everybody.
        operation: create, modify, delete, rename, restore, unlink or link.
        name_before, path_before: what it was called, and where it lay, before a rename.
        tool: whose definition it is; `tier` in which kind of directory.
        path: of the file without links, as text; bytes that are no UTF-8 are shown as escapes.
        sha256: of its content since; None: it is gone.
        sha256_before: of its content until then; None: there was none.
        at: when it was seen, ISO 8601.
        own: Holdfast wrote it.
        author: who changed it, `author_grade` how sure that is: observed or inferred.
        reason: in words.
        batch: the same for changes that were seen at once.
        missed: how many changes before this one a subscriber was not told, because too many waited for it.
    """

    id: str
    operation: str
    name: str
    name_before: str | None
    tool: str | None
    tier: str | None
    path: str | None
    path_before: str | None
    sha256: str | None
    sha256_before: str | None
    at: str | None
    own: bool
    author: str | None
    author_grade: str | None
    reason: str | None
    batch: str | None
    missed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """What the definition is called, and was called before."""
        return (self.name,) if self.name_before is None else (self.name, self.name_before)


class WrittenFile(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file of a definition.

    Attributes:
        path: as text, with surrogate escapes where it is no UTF-8; `path_before`: where it lay, if it was moved.
        operation: create, modify, delete, rename or restore (it says what the definition said once); None: it was so already.
        revision: the id of the change; None: nothing changed.
        sha256: of what lies there now; None: no file. `sha256_before`: of what lay there.
        validity: valid or invalid; None: it is gone.
    """

    name: str
    tool: str
    tier: str
    path: str
    path_before: str | None
    operation: str | None
    revision: str | None
    sha256: str | None
    sha256_before: str | None
    validity: str | None


class ConflictRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What was not written because something else lay there by then. The contents of `ours` and `theirs` are kept.

    Attributes:
        id: for `resolve`.
        time_us: UTC microseconds.
        operation: what was to be done: create, modify, delete, rename or restore.
        base: the SHA-256 of what was read; None: nothing lay there.
        ours: of what was to be written; None: nothing was to lie there.
        theirs: of what lay there; None: nothing.
        choice: what was decided: ours, theirs, merge or text; None: nothing.
        is_open: nothing was decided, and what was to be written did not come to lie there later.
    """

    id: str
    time_us: int
    name: str
    tool: str
    tier: str | None
    path: str
    operation: str
    base: str | None
    ours: str | None
    theirs: str | None
    author: str | None
    reason: str | None
    choice: str | None
    is_open: bool
