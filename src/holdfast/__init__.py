"""Holdfast keeps hold of what your AI agents did.

`record` is the door for your own programs:

    import holdfast
    holdfast.record("decision.made", agent="planner", question="Which store?", selected="SQLite")
"""

from holdfast.door import record
from holdfast.release import __version__

__all__ = ["__version__", "record"]
