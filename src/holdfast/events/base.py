"""The envelope of every event, and the number types that payloads share."""

from typing import Annotated, Any

import msgspec

INT64_MAX = 2**63 - 1  # the widest integer that SQLite and PostgreSQL keep exactly
INLINE_AGENT = "inline-"  # before a line's id: the agent whose conversation holds that line

Whole = Annotated[int, msgspec.Meta(ge=-INT64_MAX - 1, le=INT64_MAX)]
Count = Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)]
Amount = Annotated[float, msgspec.Meta(ge=0)]  # also refuses NaN, which compares with nothing
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Data(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of all payloads.

    `extra` keeps the fields that the kind does not know, under the names they came with.

    Constructing a payload checks nothing: translators do it millions of times. What comes from outside goes
    through `parse`, which does check.
    """

    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Unknown(Data, kw_only=True, omit_defaults=True):
    """The payload of a kind this build does not know, or of a newer version of one it does.

    `fields` is what came; `version` is the payload version the writer named, 0 where it named none.
    """

    fields: dict[str, Any]
    version: int = 0


class Invalid(Data, kw_only=True, omit_defaults=True):
    """An event that does not fit the kind it claims, kept so that it can be seen and repaired.

    `kind` is the kind it claimed, `why` what is wrong with it, `fields` what came.
    """

    kind: str
    why: str
    fields: dict[str, Any]


class Event(msgspec.Struct, kw_only=True):
    """What a translator understood in a record: one typed fact.

    `id` is derived from native ids: the same record gives the same id. `kind` is canonical and dotted, or
    the unknown kind as it came. `session` is "<source>:<native id>". `time_us` is UTC microseconds, None when
    unknown. `agent` is the native agent id inside the session, "" for the main agent, `INLINE_AGENT` and a
    line's id for one that is known by its lines only. `span` is the span the
    event is about or belongs to, `parent` that span's parent where the source says so. `order` is the
    position within the agent's stream of its source (byte offset or counter).
    """

    id: str
    kind: str
    session: str
    time_us: int | None
    data: Data
    agent: str = ""
    span: str | None = None
    parent: str | None = None
    order: int = 0
