"""Messages between the gateway and the egress process: JSON behind a length, on a stream.

Both ends decode each message into exactly one of these types, with bounds on every field. A message
that does not fit ends the connection, and with it the egress process.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.channel import Bounds
from casemate.egress.interface import EgressEvent
from casemate.model.grant import Grant, GrantKind

MAX_LISTENERS = 64
MAX_GRANTS = 256
MAX_CUT = 64
"""Hosts that one zygote is cut off from by name; whoever is from more is from all."""

BOUNDS = Bounds(frame=128 * 1024, unsent=256 << 20, buffer=4 << 20, descriptors=2 * MAX_LISTENERS)

Id = Annotated[int, msgspec.Meta(ge=0, le=0x7FFFFFFF)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Text = Annotated[str, msgspec.Meta(max_length=512)]


class Permit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of an egress grant the proxy needs."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    forward: Port | None = None
    private: bool = False

    def grant(self) -> Grant:
        """Return it as a grant."""
        return Grant(
            kind=GrantKind.EGRESS,
            name=self.name,
            actions=("connect",),
            forward=self.forward,
            private=self.private,
        )


Hosts = Annotated[
    tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=255)], ...],
    msgspec.Meta(max_length=MAX_CUT),
]


class Open(msgspec.Struct, tag="open", frozen=True, forbid_unknown_fields=True):
    """Serve a zygote. Carries one descriptor for each port, in their order."""

    z: Id
    ports: Annotated[tuple[Port, ...], msgspec.Meta(max_length=MAX_LISTENERS)]
    grants: Annotated[tuple[Permit, ...], msgspec.Meta(max_length=MAX_GRANTS)]
    cut: Hosts = ()
    """What nothing may go to all the same."""
    function: Annotated[str, msgspec.Meta(max_length=64)] = ""
    """Whose grants these are, for refusals to name."""
    in_tables: bool = False
    """Whether its manifest has them as tables `[[...]]`, for refusals to say what to add."""


class CutOff(msgspec.Struct, tag="cut", frozen=True, forbid_unknown_fields=True):
    """Let nothing of a zygote go to these hosts, in place of those before; end what does."""

    z: Id
    hosts: Hosts


class Close(msgspec.Struct, tag="close", frozen=True, forbid_unknown_fields=True):
    """End a zygote's connections and listeners."""

    z: Id


class Observed(msgspec.Struct, tag="observed", frozen=True, forbid_unknown_fields=True):
    """An EgressEvent."""

    z: Id
    at: Annotated[float, msgspec.Meta(ge=0)]
    host: Annotated[str, msgspec.Meta(max_length=253)]
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)]
    allowed: bool
    grant: Text = ""
    reason: Text = ""
    count: Annotated[int, msgspec.Meta(ge=1)] = 1

    def event(self) -> EgressEvent:
        """Return it as the gateway's type."""
        return EgressEvent(
            zygote=self.z,
            at=self.at,
            host=self.host,
            port=self.port,
            allowed=self.allowed,
            grant=self.grant,
            reason=self.reason,
            count=self.count,
        )


class Passed(msgspec.Struct, tag="passed", frozen=True, forbid_unknown_fields=True):
    """Bytes that a zygote's connections have carried since this was told last."""

    z: Id
    came_in: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]
    went_out: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]


Request = Open | CutOff | Close


def permits(grants: tuple[Grant, ...]) -> tuple[Permit, ...]:
    """Return the egress grants among a function's grants."""
    return tuple(
        Permit(grant.name, grant.forward, grant.private)
        for grant in grants
        if grant.kind is GrantKind.EGRESS
    )


def observed(event: EgressEvent) -> Observed:
    """Return an event as a message."""
    return Observed(
        event.zygote,
        event.at,
        event.host,
        event.port,
        event.allowed,
        event.grant,
        event.reason,
        event.count,
    )


encode = msgspec.json.encode
decode_request = msgspec.json.Decoder(Request).decode
decode_told = msgspec.json.Decoder(Observed | Passed).decode
