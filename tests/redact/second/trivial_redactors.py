"""Two redactors that test the examination itself: one does nothing, one deletes everything."""

from __future__ import annotations


class Identity:
    """Leaves every body as it is."""

    def body(self, raw: bytes) -> bytes:
        """Return the body."""
        return raw


class DeleteAll:
    """Replaces every body by an empty object."""

    def body(self, raw: bytes) -> bytes:
        """Return an empty object."""
        return b"{}"


def identity() -> Identity:
    """Make a redactor that does nothing."""
    return Identity()


def delete_all() -> DeleteAll:
    """Make a redactor that deletes everything."""
    return DeleteAll()
