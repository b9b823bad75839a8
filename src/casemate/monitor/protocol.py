"""Messages between the gateway and the monitor: MessagePack behind a length, on a stream socket."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.calls import Errors, Number
from casemate.child.channel import Bounds
from casemate.model.errors import NotFoundError
from casemate.monitor import errors
from casemate.monitor.alerting import Silence
from casemate.monitor.findings import Found
from casemate.monitor.outlet import OutletState
from casemate.vault.errors import VaultError

ASKING = Bounds(frame=8 << 20, unsent=8 << 20)
ANSWERING = Bounds(frame=1 << 20, unsent=16 << 20, pauses=True)
MAX_LISTED = 1000
STATUS = 0
"""Number of the reply that answers nothing: how the monitor is, told each second."""

Text = Annotated[str, msgspec.Meta(max_length=256)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request; `n` is repeated by its reply."""

    n: Number


class ListFindings(Message, frozen=True, tag=1):
    """Return findings, newest first."""

    project: Text | None
    """Only those of this project."""
    rule: Text | None
    level: Text | None
    """Only those that are as grave."""
    since: float | None
    before: Text | None
    """Only those that come after this one in the list: the id of the last one of a page."""
    most: Annotated[int, msgspec.Meta(ge=1, le=MAX_LISTED)]


class GetFinding(Message, frozen=True, tag=2):
    """Return one."""

    id: Text


class GetAlerts(Message, frozen=True, tag=3):
    """Tell how channels are, and which silences hold."""


class TestChannel(Message, frozen=True, tag=4):
    """Send a test by a channel, now."""

    channel: Text


class HasRule(Message, frozen=True, tag=5):
    """Tell whether there is a rule of this name that is told of."""

    rule: Text


Request = ListFindings | GetFinding | GetAlerts | TestChannel | HasRule


class FoundPage(msgspec.Struct, frozen=True):
    """Findings, newest first."""

    findings: tuple[Found, ...]
    more: bool
    """Whether there are more that fit."""


class ChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """A channel and how it is."""

    name: str
    kind: str
    server: str
    """Where it is, without what may be secret of an address."""
    level: str
    state: OutletState


class AlertsState(msgspec.Struct, frozen=True, kw_only=True):
    """All channels."""

    channels: tuple[ChannelState, ...]
    silences: tuple[Silence, ...]
    signs_of_life: int
    """That were sent to who watches for them."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the monitor is."""

    behind: int
    """Entries of the journal that it has not read."""
    current: bool
    problems: tuple[str, ...]


ERRORS = Errors(
    errors.MonitorError,
    errors.MonitorUnavailableError,
    errors.UndeliveredError,
    NotFoundError,
    VaultError,
)
decode_request = msgspec.msgpack.Decoder(Request).decode
