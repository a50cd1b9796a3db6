"""The Python side of writing definitions: a part of `holdfast.Definitions`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from holdfast.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.defining_writes import Writer
    from holdfast.definition_answers import ConflictRecord, WrittenFile
    from holdfast.definitions.choosing import Where
    from holdfast.definitions.writing import Written
    from holdfast.home import Home
    from holdfast.store.definitions import Conflict

Strategy = Literal["tier_specific", "user_override", "system_fallback", "distributed"]
Choice = Literal["ours", "theirs", "merge", "text"]


class Editing:
    """Writes definitions as they are seen from a directory, and only over what was read."""

    _home: Home
    _cwd: str
    _own: dict[str | None, set[str]]  # conflicts of each author

    def create(
        self,
        name: str,
        text: str | bytes,
        *,
        tool: str | None = None,
        tier: str | None = None,
        strategy: Strategy = "tier_specific",
        author: str | None = None,
        reason: str | None = None,
    ) -> tuple[WrittenFile, ...]:
        """Write a definition that there is not, or not there.

        Args:
            name: that it says of itself.
            text: all of its file.
            tool: claude, codex or custom; None: claude.
            tier: where; None: the first of project, user and system that may be written.
            strategy: which files.
            author: who writes it; None: whose process this is.
            reason: why.

        Raises:
            DefinitionConflict, DefinitionRefused, DefinitionNotWritten, StoreError, AppendFailed, DefinitionsBusy, NotFound, UsageError, SettingError: as
                for `put`.
        """
        where = _where(name, tool, tier, strategy)
        return _told(self._writer(author, reason).create(where, _bytes(text)))

    def put(
        self,
        name: str,
        text: str | bytes,
        *,
        base: str | None,
        tool: str | None = None,
        tier: str | None = None,
        strategy: Strategy = "tier_specific",
        author: str | None = None,
        reason: str | None = None,
    ) -> tuple[WrittenFile, ...]:
        """Write a definition over what was read.

        Args:
            name: of the definition.
            text: all of its file.
            base: the `sha256` of what was read; None: nothing lay there.
            tool: as for `get`.
            tier: the file in this tier; None: the one that counts.
            strategy: which files.
            author: as for `create`.
            reason: why.

        Raises:
            DefinitionConflict: somebody else wrote meanwhile; both texts are kept, and `ids` of the error says what `resolve` decides. So does reading
                again and writing: of several who share one `Definitions`, each says an `author`, so that none decides what another wanted.
            DefinitionRefused: it may not be written there, or not with this text.
            DefinitionNotWritten, StoreError, AppendFailed: the system refused; every file is as it was, unless the message says more.
            DefinitionsBusy: another process is at it for long.
            NotFound, UsageError: as for `get`.
            SettingError: `definition_roots` names what it may not.
        """
        where = _where(name, tool, tier, strategy)
        return _told(self._writer(author, reason).put(where, _bytes(text), _base(base)))

    def delete(
        self,
        name: str,
        *,
        base: str | None = None,
        tool: str | None = None,
        tier: str | None = None,
        strategy: Strategy = "tier_specific",
        author: str | None = None,
        reason: str | None = None,
    ) -> tuple[WrittenFile, ...]:
        """Remove a definition's file. Its contents are kept, and its name can be used again.

        Args:
            name: of the definition.
            base: the `sha256` of what was read; None: whatever it says.
            tool: as for `get`.
            tier: as for `put`.
            strategy: which files.
            author: as for `create`.
            reason: why.

        Raises:
            DefinitionConflict, DefinitionRefused, DefinitionNotWritten, StoreError, AppendFailed, DefinitionsBusy, NotFound, UsageError, SettingError: as
                for `put`.
        """
        return _told(self._writer(author, reason).delete(_where(name, tool, tier, strategy), _base(base)))

    def migrate(
        self,
        name: str,
        *,
        to: str,
        tool: str | None = None,
        tier: str | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> WrittenFile:
        """Move a definition's file into another tier; its history goes on there.

        Args:
            name: of the definition.
            to: the tier.
            tool: as for `get`.
            tier: from where; None: the file that counts.
            author: as for `create`.
            reason: why.

        Raises:
            DefinitionConflict, DefinitionRefused, DefinitionNotWritten, StoreError, AppendFailed, DefinitionsBusy, NotFound, UsageError, SettingError: as
                for `put`.
        """
        return _told([self._writer(author, reason).migrate(_where(name, tool, tier), to)])[0]

    def replicate(
        self,
        name: str,
        *,
        to: str | Sequence[str],
        base: str | None = None,
        tool: str | None = None,
        tier: str | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> tuple[WrittenFile, ...]:
        """Write a definition into other tiers too: into all of them, or none.

        Args:
            name: of the definition.
            to: the tiers, or one.
            base: the `sha256` of what may be written over there; None: nothing that says something else.
            tool: as for `get`.
            tier: from where; None: the file that counts.
            author: as for `create`.
            reason: why.

        Raises:
            DefinitionConflict, DefinitionRefused, DefinitionNotWritten, StoreError, AppendFailed, DefinitionsBusy, NotFound, UsageError, SettingError: as
                for `put`.
        """
        tiers = (to,) if isinstance(to, str) else to
        return _told(self._writer(author, reason).replicate(_where(name, tool, tier), tiers, _base(base)))

    def conflicts(self, *, resolved: bool = False) -> list[ConflictRecord]:
        """What was not written because somebody else had, and waits for a decision, the oldest first.

        Args:
            resolved: also what is decided.

        Raises:
            DefinitionsBusy: another process imports, looks or writes, and did not end within 5 s.
            StoreError, AppendFailed: what somebody changed meanwhile cannot be recorded.
        """
        from holdfast import defining_writes  # noqa: PLC0415 - importing holdfast stays light

        return [_record(one) for one in defining_writes.conflicts(self._home, resolved=resolved)]

    def resolve(
        self,
        conflict: str,
        choice: Choice,
        *,
        text: str | bytes | None = None,
        base: str | None = None,
        author: str | None = None,
        reason: str | None = None,
    ) -> WrittenFile | None:
        """Decide a conflict; what became of the file, None: it stays as it is.

        Args:
            conflict: its id, or how that begins.
            choice: ours: what was to be written; theirs: what lies there; merge: both, if they do not contradict each other; text: another one.
            text: that one.
            base: the SHA-256 of what lies there now and may be written over ("": nothing lies there); None: what lay there when it came to the
                conflict.
            author: as for `create`.
            reason: why.

        Raises:
            DefinitionConflict, DefinitionRefused, DefinitionNotWritten, StoreError, AppendFailed, DefinitionsBusy, NotFound, UsageError, SettingError: as
                for `put`.
        """
        from holdfast import defining_writes  # noqa: PLC0415 - as above

        if (choice == "text") != (text is not None):
            raise UsageError('`text` is given with the choice "text", and with no other')
        one = defining_writes.conflict_of(self._home, conflict)
        content = None if text is None else _bytes(text)
        over = base and _base(base)
        made = self._writer(author, reason).resolve(one, choice, content, over)
        return None if made is None else _told([made])[0]

    def _writer(self, author: str | None, reason: str | None) -> Writer:
        from holdfast.defining_writes import Writer, by  # noqa: PLC0415 - as above

        return Writer(self._home, self._cwd, by(author, reason), own=self._own.setdefault(author, set()))


def _where(name: str, tool: str | None, tier: str | None, strategy: str = "tier_specific") -> Where:
    from holdfast.definitions.choosing import Where  # noqa: PLC0415 - as above

    if not isinstance(name, str):
        raise UsageError(f"a name is text, and {name!r} is not")
    return Where(name, None, tool, tier, strategy)


def _bytes(text: str | bytes) -> bytes:
    if isinstance(text, bytes | bytearray):
        return bytes(text)
    if not isinstance(text, str):
        raise UsageError(f"`text` is {type(text).__name__}, and neither text nor bytes")
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        hint = "give the bytes of the file instead"
        raise UsageError(
            f"`text` has no UTF-8 form: character {exc.start} is half a surrogate pair", hint=hint
        ) from exc


def _base(base: str | None) -> str | None:
    from holdfast.defining_writes import sha256_of  # noqa: PLC0415 - as above

    return None if base is None else sha256_of(base)


def _told(made: Sequence[Written]) -> tuple[WrittenFile, ...]:
    from holdfast.definition_answers import WrittenFile  # noqa: PLC0415 - as above

    return tuple(
        WrittenFile(
            name=one.name,
            tool=one.root.tool,
            tier=one.root.tier,
            path=one.path,
            path_before=one.path_before,
            operation=one.operation,
            revision=one.revision,
            sha256=one.sha256,
            sha256_before=one.before,
            validity=one.place.verdict.validity if one.place else None,
        )
        for one in made
    )


def _record(one: Conflict) -> ConflictRecord:
    from holdfast.definition_answers import ConflictRecord  # noqa: PLC0415 - as above

    return ConflictRecord(
        id=one.id,
        time_us=one.time_us,
        name=one.name,
        tool=one.tool,
        tier=one.tier,
        path=one.path,
        operation=one.operation,
        base=one.base,
        ours=one.ours,
        theirs=one.theirs,
        author=one.author,
        reason=one.reason,
        choice=one.choice,
        is_open=one.is_open,
    )
