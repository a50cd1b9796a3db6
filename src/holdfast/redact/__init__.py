"""The door every body passes before it is first written: secrets are taken out here, and nowhere later.

`Redactor.clean` gives back the very object when there is nothing to take out. `LEVEL` says of a home what stood at its
door; a Holdfast whose level is higher refuses it until `holdfast redact apply` has cleaned what was written before.

The rules are imported with the first Redactor: who only reads needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.redact.redactor import Cleaned, Redactor

LEVEL = 1

__all__ = ["LEVEL", "Cleaned", "Redactor"]


def __getattr__(name: str) -> object:
    if name not in {"Cleaned", "Redactor"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from holdfast.redact import redactor  # noqa: PLC0415 - see above

    return getattr(redactor, name)
