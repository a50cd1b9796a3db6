"""The door every body passes before it is first written: secrets are taken out here, and nowhere later.

`Redactor.clean` gives back the very object when there is nothing to take out. `LEVEL` says of a home what stood at its
door; a Holdfast whose level is higher refuses it until `holdfast redact apply` has cleaned what was written before.
"""

from __future__ import annotations

from holdfast.redact.redactor import Cleaned, Redactor

LEVEL = 1

__all__ = ["LEVEL", "Cleaned", "Redactor"]
