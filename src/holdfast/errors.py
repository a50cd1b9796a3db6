"""Every error Holdfast raises, in one tree.

    HoldfastError                    exit 1   base of all; carries a `hint`: what to do next
    ├── UsageError                   exit 2   the command or call was written wrongly
    │   ├── SettingError             exit 2   a setting has an unknown name or a bad value
    │   ├── RuleError                exit 2   a rule of redaction cannot be used
    │   ├── InvalidEvent             exit 2   an event does not fit its kind (strict mode)
    │   ├── IllegalTransition        exit 2   a status may not follow another
    │   └── AmbiguousId              exit 2   a prefix fits more than one id
    ├── NotFound                     exit 3   no such session, agent or path
    ├── StillAlive                   exit 4   what is to be recovered or cleared is at work
    ├── HomeError                    exit 10  the home cannot be used
    │   ├── HomeOutdated             exit 11  written by an earlier development version
    │   └── HomeFromFuture           exit 12  written by a newer Holdfast
    ├── JournalError                 exit 20
    │   ├── ReadingStopped           exit 20  the process that reads source files was ended
    │   ├── AppendFailed             exit 21  the record was not written (nothing was acknowledged)
    │   ├── BlobDamaged              exit 22  a blob's content does not match its name
    │   ├── SealFailed               exit 23  a segment could not be sealed (nothing is lost)
    │   ├── JournalAltered           exit 24  `holdfast journal verify` found something
    │   ├── RetireRefused            exit 25  history was not retired (nothing was changed)
    │   ├── TransferIncomplete       exit 26  an export, an import or what was restored lacks something; all else is there
    │   ├── ExportFromFuture         exit 27  an export was written by a newer Holdfast
    │   ├── TransferFailed           exit 28  an export could not be written, or read any further; nothing could be restored
    │   ├── SegmentHeld              exit 34  another process writes what had to be rewritten
    │   └── RewriteRefused           exit 35  the journal is not what was written, so it was not rewritten
    ├── StoreError                   exit 30
    │   ├── StoreBusy                exit 31  another process holds the writer's lock
    │   │   └── DefinitionsBusy      exit 31  another process looks at definitions, or writes one
    │   ├── StoreFromFuture          exit 32  written by a newer Holdfast
    │   └── StoreDamaged             exit 33  its file cannot be read; it can be folded anew from the journal
    ├── DoctorFoundFaults            exit 40  `holdfast doctor` found something to act on
    ├── SecretsFound                 exit 41  `holdfast redact check` found something that would be taken out
    ├── DefinitionsInvalid           exit 42  `holdfast definitions validate` found a definition that is not valid
    ├── DefinitionRefused            exit 43  a definition may not be written there, or not so; nothing was
    ├── DefinitionConflict           exit 44  somebody else changed a definition meanwhile; both texts are kept
    ├── DefinitionNotWritten         exit 45  the system refused; every definition is as it was
    ├── HooksRefused                 exit 50  a tool's settings file could not be understood or written
    ├── TailFailed                   exit 55  how far logs were read could not be read or written
    │   └── TailTaken                exit 56  another reader uses the same positions
    ├── ServiceError                 exit 60  the service could not be started, or ended
    │   ├── ServiceRuns              exit 61  the home has its service already
    │   └── NoService                exit 62  no service of the home runs
    ├── ResumeError                  exit 65  a session cannot be resumed as things are; nothing was started
    │   ├── ResumeRefused            exit 66  another process resumes it; nothing was started
    │   └── ResumeFailed             exit 67  its tool was started, and showed no work of the session
    ├── SuperviseError               exit 72  an agent cannot be started, or what is said of one cannot be read
    │   ├── AgentRuns                exit 73  it is alive, so it is not removed
    │   └── AgentEnded               exit 74  it is over, so there is nothing to stop, kill or pause
    └── CheckpointError              exit 75
        ├── CheckpointRefused        exit 76  there is nothing that a checkpoint could be taken of, or no place to give it back to
        └── CheckpointFailed         exit 77  git or the system refused; the checkpoints that there are stay what they are

Exit code 0 is success, 130 an interrupt (Ctrl-C). `docs/reference/exit-codes.md` lists them; a test compares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class HoldfastError(Exception):
    """Base of all errors: a message that says what and where, and a hint that says what to do next."""

    exit_code: int = 1
    hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class UsageError(HoldfastError):
    """The command line or the call was written wrongly."""

    exit_code = 2


class SettingError(UsageError):
    """A setting has an unknown name or a value that is not accepted."""

    def __init__(self, key: str, value: object, origin: str, why: str) -> None:
        super().__init__(f"setting {key} = {value!r} (from {origin}): {why}")
        self.hint = "`holdfast config` lists every setting, its unit and its accepted values"


class RuleError(UsageError):
    """A rule of redaction cannot be read, or cannot be used."""

    def __init__(self, place: object, why: str) -> None:
        super().__init__(f"{place}: {why}")
        self.place = place
        self.why = why
        self.hint = "docs/reference/redaction.md describes the file and its rules"


class InvalidEvent(UsageError):
    """An event does not fit the kind it claims."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(f"event {kind!r}: {why}")
        self.kind = kind
        self.why = why
        self.hint = "docs/reference/events.md lists each kind with its fields"


class IllegalTransition(UsageError):
    """A status may not follow another."""

    def __init__(self, before: str, after: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"status {before!r} cannot become {after!r}")
        nexts = ", ".join(allowed) or "nothing: it is final, trying again is a new span"
        self.hint = f"after {before!r} may come: {nexts}"


class AmbiguousId(UsageError):
    """A prefix fits more than one id."""

    def __init__(self, prefix: str, matches: list[str], *, what: str = "sessions") -> None:
        super().__init__(f"{prefix!r} fits {len(matches)} {what}: {', '.join(matches[:5])}")
        self.hint = "give more characters of the id"


class NotFound(HoldfastError):
    """No such session, agent or path."""

    exit_code = 3


class StillAlive(HoldfastError):
    """What is to be recovered or cleared is at work."""

    exit_code = 4


class HomeError(HoldfastError):
    """The home directory cannot be used."""

    exit_code = 10


class HomeOutdated(HomeError):
    """The home was written by an earlier development version."""

    exit_code = 11


class HomeFromFuture(HomeError):
    """The home was written by a newer Holdfast."""

    exit_code = 12


class JournalError(HoldfastError):
    """The journal could not be read or written."""

    exit_code = 20


class ReadingStopped(JournalError):
    """The process that reads source files was ended from outside. What it recorded is kept."""

    def __init__(self, how: str) -> None:
        super().__init__(f"the process that reads source files ended early ({how})")
        self.hint = "what it recorded is kept; run the command again to go on"


class AppendFailed(JournalError):
    """A record was not written. Nothing was acknowledged; what stood before is intact."""

    exit_code = 21

    def __init__(self, place: object, why: str) -> None:
        super().__init__(f"{place}: the record was not written: {why}")
        self.hint = "make room or repair access, then run the same command again; nothing was lost"


class BlobDamaged(JournalError):
    """A blob's content does not match the SHA-256 it is named by."""

    exit_code = 22

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.why = why
        self.hint = "every record is intact; `holdfast doctor` lists damaged blobs"


class SealFailed(JournalError):
    """A segment could not be sealed. It stays as it was, and readable."""

    exit_code = 23

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: the segment was not sealed: {why}")
        self.hint = "every record is intact; make room or repair access, then run `holdfast journal seal`"


class JournalAltered(JournalError):
    """`holdfast journal verify` found that the journal is not what was written."""

    exit_code = 24


class RetireRefused(JournalError):
    """History was not retired, because that might have lost what should be kept. Nothing was changed."""

    exit_code = 25


class TransferIncomplete(JournalError):
    """Something could not be exported, imported or restored; everything else was."""

    exit_code = 26


class ExportFromFuture(JournalError):
    """An export was written by a newer Holdfast; nothing of it was imported."""

    exit_code = 27


class TransferFailed(JournalError):
    """An export could not be written, or read any further, or nothing be restored. What stood there stays; what was imported is safe."""

    exit_code = 28

    def __init__(self, place: object, why: str) -> None:
        super().__init__(f"{place}: {why}")
        self.hint = "make room or repair access, then run the same command again; nothing recorded is lost"


class SegmentHeld(JournalError):
    """What had to be rewritten is not, or not all of it: another process writes the segment that holds it. The message says what was done."""

    exit_code = 34

    def __init__(self, what: str, done: str) -> None:
        super().__init__(f"{what}; {done}")
        self.hint = "end that process, then run the same command again"


class RewriteRefused(JournalError):
    """The journal was not rewritten, because it is not what was written, or cannot be read. Nothing was changed."""

    exit_code = 35


class StoreError(HoldfastError):
    """The store (the rebuildable database of answers) could not be used."""

    exit_code = 30


class StoreBusy(StoreError):
    """Another process holds the writer's lock."""

    exit_code = 31


class DefinitionsBusy(StoreBusy):
    """Another process looks at definitions, or writes one."""


class StoreFromFuture(StoreError):
    """The store was written by a newer Holdfast."""

    exit_code = 32


class StoreDamaged(StoreError):
    """The store's file cannot be read. It is derived from the journal and can be folded again."""

    exit_code = 33

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.hint = "`holdfast rebuild` folds the journal into a new store; nothing recorded is lost"


class DoctorFoundFaults(HoldfastError):
    """`holdfast doctor` found something to act on."""

    exit_code = 40


class SecretsFound(HoldfastError):
    """`holdfast redact check` found something that would be taken out."""

    exit_code = 41


class DefinitionsInvalid(HoldfastError):
    """`holdfast definitions validate` found a definition that is not valid, or could not be read."""

    exit_code = 42


class DefinitionRefused(HoldfastError):
    """A definition may not be written where it would have to be, or not with this content. Nothing was."""

    exit_code = 43


class DefinitionConflict(HoldfastError):
    """Somebody else changed a definition meanwhile. Its file is as they left it; what was to be written is kept too.

    Attributes:
        ids: of the conflicts, for `holdfast definitions resolve`.
    """

    exit_code = 44

    def __init__(self, message: str, *, hint: str | None = None, ids: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.ids = ids


class DefinitionNotWritten(HoldfastError):
    """The system refused to write a definition. Every file is as it was, unless the message says more."""

    exit_code = 45

    def __init__(self, place: object, why: str) -> None:
        super().__init__(f"{place}: {why}")
        self.hint = "make room or repair access, then run the same command again"


class HooksRefused(HoldfastError):
    """A tool's settings file could not be understood or written. It is as it was."""

    exit_code = 50

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path}: {why}; it was not changed")
        self.hint = "repair the file or its rights, then run the same command again"


class TailFailed(HoldfastError):
    """How far logs were read cannot be read or written. No line is lost: what was not kept is read again."""

    exit_code = 55

    def __init__(self, place: object, why: str) -> None:
        super().__init__(f"{place}: {why}")
        self.hint = "make room or repair access, then start again; nothing was lost"


class TailTaken(TailFailed):
    """Another reader uses the same positions; two would take lines from each other."""

    exit_code = 56

    def __init__(self, place: object) -> None:
        super().__init__(place, "another reader uses these positions")
        self.hint = "end the other reader, or give this one a state of its own"


class ServiceError(HoldfastError):
    """A service could not be started, or not be ended."""

    exit_code = 60


class ServiceRuns(ServiceError):
    """The home has its service already."""

    exit_code = 61

    def __init__(self, who: object) -> None:
        super().__init__(f"the service of this home runs already: {who or 'another process'}")
        self.hint = "`holdfast status` says how it is, `holdfast down` ends it"


class NoService(ServiceError):
    """No service of the home runs. Every command catches up by itself."""

    exit_code = 62


class ResumeError(HoldfastError):
    """A session cannot be resumed as things are. Nothing was started."""

    exit_code = 65


class ResumeRefused(ResumeError):
    """Another process resumes a session, or did meanwhile. Nothing was started."""

    exit_code = 66


class ResumeFailed(ResumeError):
    """A session's tool was started, and showed no work of the session. It was not killed."""

    exit_code = 67


class SuperviseError(HoldfastError):
    """An agent cannot be started as things are, or what is said of one cannot be read."""

    exit_code = 72


class AgentRuns(SuperviseError):
    """An agent is alive. It was left as it is."""

    exit_code = 73


class AgentEnded(SuperviseError):
    """An agent is over, so nothing can be asked of it."""

    exit_code = 74


class CheckpointError(HoldfastError):
    """A checkpoint of a workspace could not be taken, read or given back. The workspace is as it was."""

    exit_code = 75


class CheckpointRefused(CheckpointError):
    """There is nothing that a checkpoint could be taken of, or no place where it could be given back. Nothing was written."""

    exit_code = 76


class CheckpointFailed(CheckpointError):
    """git or the system refused something. The checkpoints that there are stay what they are."""

    exit_code = 77

    def __init__(self, place: object, why: str, *, hint: str | None = None) -> None:
        super().__init__(f"{place}: {why}")
        self.hint = hint or "make room or repair access, then run the same command again"


def tree() -> list[type[HoldfastError]]:
    """Every error class, parents first."""
    out: list[type[HoldfastError]] = []
    todo: list[type[HoldfastError]] = [HoldfastError]
    while todo:
        cls = todo.pop(0)
        out.append(cls)
        todo[:0] = cls.__subclasses__()
    return out
