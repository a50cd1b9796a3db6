"""Events as JSON, for streams and exports.

One object per event: `id kind v session time_us data agent span parent order`. `v` is the version of the
payload, 0 for a kind the writer did not know. Fields at their default are left out. A payload of an unknown
kind or of a version this build does not know is read as Unknown, and written again as it came.
"""

from typing import Any

import msgspec

from holdfast.events.base import Data, Event, Unknown
from holdfast.events.kinds import KINDS


class _Wire(msgspec.Struct, kw_only=True, omit_defaults=True):
    id: str
    kind: str
    v: int = 0
    session: str
    time_us: int | None = None
    data: Any
    agent: str = ""
    span: str | None = None
    parent: str | None = None
    order: int = 0


class _WireIn(_Wire, kw_only=True):
    data: msgspec.Raw


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_WireIn)


def encode(event: Event) -> bytes:
    """One line of JSON, without a line end. Raises TypeError if the payload is not that of the event's
    kind.
    """
    version, data = _outgoing(event)
    return _encoder.encode(
        _Wire(
            id=event.id,
            kind=event.kind,
            v=version,
            session=event.session,
            time_us=event.time_us,
            data=data,
            agent=event.agent,
            span=event.span,
            parent=event.parent,
            order=event.order,
        )
    )


def decode(raw: bytes) -> Event:
    """Read what `encode` wrote. Raises msgspec.DecodeError if it is no event."""
    wire = _decoder.decode(raw)
    return Event(
        id=wire.id,
        kind=wire.kind,
        session=wire.session,
        time_us=wire.time_us,
        data=_incoming(wire),
        agent=wire.agent,
        span=wire.span,
        parent=wire.parent,
        order=wire.order,
    )


def _outgoing(event: Event) -> tuple[int, Data | dict[str, Any]]:
    if isinstance(event.data, Unknown):
        return event.data.version, event.data.fields
    kind = KINDS.get(event.kind)
    if kind is None or not isinstance(event.data, kind.payload):
        raise TypeError(f"event {event.kind!r} cannot carry {type(event.data).__name__}")
    return kind.version, event.data


def _incoming(wire: _WireIn) -> Data:
    kind = KINDS.get(wire.kind)
    if kind is None or wire.v != kind.version:
        return Unknown(fields=msgspec.json.decode(wire.data, type=dict[str, Any]), version=wire.v)
    return msgspec.json.decode(wire.data, type=kind.payload)
