"""Holdfast keeps hold of what your AI agents did.

`record` is the door for your own programs:

    import holdfast
    holdfast.record("decision.made", agent="planner", question="Which store?", selected="SQLite")
"""

from holdfast.door import record

__all__ = ["record"]
__version__ = "0.1.0"
