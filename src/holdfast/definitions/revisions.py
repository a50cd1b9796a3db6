"""What happened to definitions between two looks. Pure: where they lay last and where they lie now go in, changes come out.

    create    a file that was not there
    modify    the same file with another content
    restore   a file with a content that it had before, after another one or none
    rename    the same content at another path; or the same name in the same root, where its path is gone and its content changed on the way
    delete    a file that is not there any more
    unlink    a file that still lies there and counts no more: no link leads to it any more, or it says nothing of an agent
    link      such a file is reached again, or one that is reached through another root alone

A content is known by its SHA-256, so what changes no byte (touch, chmod, a save without a change) is no change. An editor that writes beside and renames
leaves the path, so that is one `modify`. Each file changes at most once between two looks: what lay between was not seen.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

CREATE: Final = "create"
MODIFY: Final = "modify"
RESTORE: Final = "restore"
RENAME: Final = "rename"
DELETE: Final = "delete"
UNLINK: Final = "unlink"
LINK: Final = "link"


@dataclass(frozen=True, slots=True)
class Lying:
    """A file of a definition as it lies somewhere.

    Attributes:
        path: its real path; what it is known by from look to look.
        tool, name: of the definition that it is.
        sha256: of its content; None: it could not be read, so nothing is known of a change.
        root: the directory through which it was reached, without links, as text.
    """

    path: str
    tool: str
    name: str
    tier: str
    sha256: str | None
    size_bytes: int | None = None
    root: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one file.

    Attributes:
        before: how it lay; None: it was not there.
        after: how it lies; None: it is not there.
        why: the rule, where one had to decide that two files are the same; "" where the path says so.
    """

    kind: str
    before: Lying | None
    after: Lying | None
    why: str = ""

    @property
    def path(self) -> str:
        """Where it lies now, else where it lay."""
        lying = self.after or self.before
        assert lying is not None  # there is no change of nothing
        return lying.path

    @property
    def renamed_from(self) -> str | None:
        """The name that it had, where it says another one now."""
        if self.before is None or self.after is None or self.before.name == self.after.name:
            return None
        return self.before.name


def changes(
    last: Iterable[Lying],
    now: Iterable[Lying],
    *,
    had: Mapping[str, Collection[str]] | None = None,
    unseen: Collection[str] = (),
    left: Collection[str] = (),
    unlinked: Collection[str] = (),
) -> list[Change]:
    """Decide what happened, by path.

    Args:
        last: how files lay at the last look, each path once.
        now: how they lie.
        had: contents that each file ever had, by its path.
        unseen: directories that could not be looked through; what lay in them, or a link in them led to, is not known to be gone.
        left: paths of files that still lie there, whether or not they are reached.
        unlinked: paths of files whose last change was an unlink.
    """
    before = {lying.path: lying for lying in last}
    after = {lying.path: lying for lying in now}
    gone = {
        path: lying for path, lying in before.items() if path not in after and not _is_hidden(lying, unseen)
    }
    out = [Change(UNLINK, gone.pop(path), None) for path in left if path in gone]
    new = {path: lying for path, lying in after.items() if path not in before and lying.sha256 is not None}
    same = (_same_path(before[path], lying, had or {}) for path, lying in after.items() if path in before)
    out += filter(None, same)
    for old, fresh, why in _moved(gone, new):
        out.append(Change(RENAME, gone.pop(old), new.pop(fresh), why))
    out += [Change(DELETE, lying, None) for lying in gone.values()]
    for path, lying in new.items():
        out.append(Change(LINK if path in unlinked else _appeared(lying, had or {}), None, lying))
    return sorted(out, key=lambda one: one.path)


def _same_path(before: Lying, after: Lying, had: Mapping[str, Collection[str]]) -> Change | None:
    if after.sha256 is None:
        return None
    if after.sha256 == before.sha256:
        return Change(LINK, before, after) if after.root != before.root else None
    again = after.sha256 in had.get(after.path, ())
    return Change(RESTORE if again else MODIFY, before, after)


def _appeared(lying: Lying, had: Mapping[str, Collection[str]]) -> str:
    return RESTORE if lying.sha256 in had.get(lying.path, ()) else CREATE


def _moved(gone: Mapping[str, Lying], new: Mapping[str, Lying]) -> Iterator[tuple[str, str, str]]:
    """Which gone file is which new one: first by content, those of one name before others; then by name within a root, where only one can be meant."""
    left, taken = dict(gone), set[str]()
    for same_name in (True, False):
        by_content = _grouped_by(left.values(), with_name=same_name)
        for path in sorted(new):
            lying = new[path]
            key = (lying.tool, lying.sha256, lying.name if same_name else "")
            if path in taken or not by_content.get(key):
                continue
            old = by_content[key].pop(0)
            del left[old]
            taken.add(path)
            yield old, path, "the same content"
    by_name: dict[tuple[str, str, str], tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for at, some in enumerate((left, {path: lying for path, lying in new.items() if path not in taken})):
        for path, lying in some.items():
            by_name[lying.tool, lying.root, lying.name][at].append(path)
    for olds, news in by_name.values():
        if len(olds) == len(news) == 1:
            yield olds[0], news[0], "the same name"


def _grouped_by(lying: Iterable[Lying], *, with_name: bool) -> dict[tuple[str, str | None, str], list[str]]:
    out: dict[tuple[str, str | None, str], list[str]] = defaultdict(list)
    for one in sorted(lying, key=lambda one: one.path):
        if one.sha256 is not None:
            out[one.tool, one.sha256, one.name if with_name else ""].append(one.path)
    return out


def _is_hidden(lying: Lying, unseen: Collection[str]) -> bool:
    """Whether a file, or a link that may lead to it, lies where nobody could look."""
    if _is_below(lying.path, unseen):
        return True
    return not _is_below(lying.path, [lying.root]) and any(_is_below(one, [lying.root]) for one in unseen)


def _is_below(path: str, directories: Collection[str]) -> bool:
    return any(path.startswith(f"{directory.rstrip('/')}/") for directory in directories)
