"""Messages between the gateway and the monitor: MessagePack behind a length, on a stream socket."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.calls import Errors, Number
from casemate.child.channel import Bounds
from casemate.metrics.families import MAX_SAMPLES, Family
from casemate.model.errors import NotFoundError
from casemate.model.metrics import NO_DURATIONS, Durations
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


class Numbers(Message, frozen=True, tag=6):
    """Export a part of the node's numbers, as they were at one time."""

    first: bool
    """Whether another set begins."""
    started_at: float
    """Unix time since which is counted."""
    at: float
    families: Annotated[tuple[Family, ...], msgspec.Meta(max_length=MAX_SAMPLES)]


class FindIncidents(Message, frozen=True, tag=7):
    """Return incidents, the newest first."""

    wanted: ListIncidents


class GetIncident(Message, frozen=True, tag=8):
    """Return one."""

    id: Text


class GetNoticed(Message, frozen=True, tag=9):
    """Return findings whose entries come later in the journal, the oldest first."""

    after: int


class GetOnCall(Message, frozen=True, tag=10):
    """Tell who is on call, for some days from now."""

    days: Annotated[int, msgspec.Meta(ge=1, le=92)]


class TellFirst(Message, frozen=True, tag=11):
    """Tell people first of what is found, or wait for another node to do so; for some seconds."""

    first: bool


Request = (
    Find
    | GetFinding
    | GetAlerts
    | TestChannel
    | HasRule
    | Numbers
    | FindIncidents
    | GetIncident
    | GetNoticed
    | GetOnCall
    | TellFirst
)


class AlertsState(msgspec.Struct, frozen=True, kw_only=True):
    """All channels."""

    channels: tuple[AlertChannel, ...]
    silences: tuple[AlertSilence, ...]
    signs_of_life: int
    """That were sent to who watches for them."""


class ExportState(msgspec.Struct, frozen=True, kw_only=True):
    """How one kind of what is exported arrives at one place."""

    name: str
    signal: str
    sent: int
    """Records that were taken; of metrics, requests."""
    refused: int
    """Given up, as they would be refused again."""
    missed: int
    """Deleted before they were sent, as retention has it; of metrics, replaced by newer ones."""
    behind: int
    """Yet to send."""
    problem: str


class PlaceState(msgspec.Struct, frozen=True, kw_only=True):
    """How checkpoints arrive at a second place."""

    name: str
    sent: int
    failed: int
    """Attempts."""
    size: int
    """Entries of the journal that the last one is of."""
    at: float
    """Unix time of the last one; 0: there was none."""
    problem: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the monitor is."""

    behind: int
    """Entries of the journal that it has not read."""
    current: bool
    problems: tuple[str, ...]
    exports: tuple[ExportState, ...] = ()
    places: tuple[PlaceState, ...] = ()
    lag: Durations = NO_DURATIONS
    """From what happened until it was looked at."""
    alerted: Durations = NO_DURATIONS
    """From what happened until a channel took the alert."""
    numbers_every: float = 0.0
    """Seconds after which it wants the node's numbers again; 0: it does not."""
    noticed: int = -1
    """Index of the newest finding in the journal; -1: there is none. Told at once."""


ERRORS = Errors(
    errors.MonitorError,
    errors.MonitorUnavailableError,
    errors.UndeliveredError,
    NotFoundError,
    VaultError,
)
decode_request = msgspec.msgpack.Decoder(Request).decode
