"""Messages between the gateway and the sources process: MessagePack behind a length, on a stream.

Both ends decode each message into exactly one of these types, with bounds on every field. One that
does not fit ends the connection, and with it the sources process.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from casemate.child.channel import Bounds
from casemate.decoding import DECODING_ERRORS
from casemate.model.trigger import (
    MqttTrigger,
    NatsTrigger,
    PostgresTrigger,
    RabbitmqTrigger,
    ValkeyTrigger,
)
from casemate.sources.errors import SourceProtocolError
from casemate.sources.interface import Received

MAX_BATCH = 1000
BOUNDS = Bounds(frame=64 << 20, unsent=512 << 20, buffer=4 << 20)

Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Name = Annotated[str, msgspec.Meta(max_length=63)]
Reason = Annotated[str, msgspec.Meta(max_length=600)]
AnyOutside = ValkeyTrigger | PostgresTrigger | RabbitmqTrigger | MqttTrigger | NatsTrigger


class Message(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag_field="type"
):
    """A message about source `n`."""

    n: Number


class Start(Message, frozen=True, tag=1):
    """Bring events from a server. To the process."""

    identity: Annotated[str, msgspec.Meta(max_length=64)]
    trigger: AnyOutside


class Stop(Message, frozen=True, tag=2):
    """Bring no more. To the process."""


class Secret(Message, frozen=True, tag=3):
    """The answer to `Ask`: a pipe goes with it that brings the password, unless there is a problem.

    To the process.
    """

    problem: Reason = ""


class Outcome(StrEnum):
    """What became of events that were handed over."""

    KEPT = "kept"
    FULL = "full"
    """There is no room, or no way to keep them, at the moment; none of them is kept."""


class Kept(Message, frozen=True, tag=4):
    """The answer to `Handed`. To the process."""

    batch: Number
    outcome: Outcome


class Ask(Message, frozen=True, tag=5):
    """Asks for the password. To the gateway."""


class Handed(Message, frozen=True, tag=6):
    """Events to keep. To the gateway."""

    batch: Number
    events: Annotated[tuple[Received, ...], msgspec.Meta(min_length=1, max_length=MAX_BATCH)]


class State(Message, frozen=True, tag=7):
    """How the source is. To the gateway."""

    connected: bool
    error: Reason
    waiting: Annotated[int, msgspec.Meta(ge=0)] | None


class Refused(Message, frozen=True, tag=8):
    """Messages that were given up, or a server that may not be connected to. To the gateway."""

    reason: Reason
    denied: bool
    count: Annotated[int, msgspec.Meta(ge=1)]


Request = Start | Stop | Secret | Kept
Report = Ask | Handed | State | Refused

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_report = msgspec.msgpack.Decoder(Report).decode


def encode_report(report: Report) -> bytes:
    """Return a report as the gateway takes it. Raises SourceProtocolError.

    The gateway ends the process, and with it every source, for one that it does not take; and what
    is in it comes from a server.
    """
    try:
        data = encode(report)
        decode_report(data)
    except (*DECODING_ERRORS, OverflowError, TypeError, ValueError):
        raise SourceProtocolError(
            "The server tells of its messages what no server of this kind does."
        ) from None
    return data
