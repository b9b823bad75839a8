"""Messages between the gateway and the monitor: MessagePack behind a length, on a stream socket."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.calls import Errors, Number
from casemate.child.channel import Bounds
from casemate.model.errors import NotFoundError
from casemate.monitor import errors
from casemate.operations.findings import AlertChannel, AlertSilence, ListFindings
from casemate.operations.incidents import ListIncidents
from casemate.vault.errors import VaultError

ASKING = Bounds(frame=8 << 20, unsent=8 << 20)
ANSWERING = Bounds(frame=1 << 20, unsent=16 << 20, pauses=True)
STATUS = 0
"""Number of the reply that answers nothing: how the monitor is, told each second."""

Text = Annotated[str, msgspec.Meta(max_length=256)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request; `n` is repeated by its reply."""

    n: Number


class Find(Message, frozen=True, tag=1):
    """Return findings, newest first."""

    wanted: ListFindings


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


class FindIncidents(Message, frozen=True, tag=6):
    """Return incidents, the newest first."""

    wanted: ListIncidents


class GetIncident(Message, frozen=True, tag=7):
    """Return one."""

    id: Text


Request = Find | GetFinding | GetAlerts | TestChannel | HasRule | FindIncidents | GetIncident


class AlertsState(msgspec.Struct, frozen=True, kw_only=True):
    """All channels."""

    channels: tuple[AlertChannel, ...]
    silences: tuple[AlertSilence, ...]
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
