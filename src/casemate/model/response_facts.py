"""Facts of what was found, and of what is done about it: alerts, incidents, playbooks, evidence."""

from __future__ import annotations

from casemate.model.facts import Fact


class Finding(Fact, frozen=True, kw_only=True):
    """A rule of detection matches what happened. Told by the monitor alone."""

    finding: str
    """Its id."""
    rule: str
    level: str
    """As Sigma has it: `informational` to `critical`."""
    title: str
    entity: str
    """Who or what it is about, as `field=value` for each field that tells it."""
    who: str = ""
    """Who did what it was found by last, as that event says it; empty: the node."""
    events: tuple[str, ...]
    """Ids of entries of the journal, the newest."""
    techniques: tuple[str, ...]
    """Of ATT&CK."""
    count: int = 1
    """Events that it stands for."""


class AlertSent(Fact, frozen=True, kw_only=True):
    """A channel took an alert. Told by the monitor alone."""

    channel: str
    findings: tuple[str, ...]
    """Ids of what it told of."""


class AlertFailed(Fact, frozen=True, kw_only=True):
    """An alert was given up. Told by the monitor alone."""

    channel: str
    findings: tuple[str, ...]
    reason: str


class IncidentUpdated(Fact, frozen=True, kw_only=True):
    """Somebody says something of an incident."""

    incident: str
    change: str
    """`assign`, `note` or `state`."""
    value: str
    """To whom, or which state."""
    text: str
    """The note, or why."""
    seen_at: float = 0.0
    """When the newest finding was that was known then; 0: it is not said."""


class IncidentActed(Fact, frozen=True, kw_only=True):
    """Something was done to contain an incident, or could not be."""

    incident: str
    action: str
    target: str
    undo: str
    """How it is taken back: a command."""
    problem: str
    """Why it could not be; empty: it was."""


class PlaybookChanged(Fact, frozen=True, kw_only=True):
    """Somebody puts, removes or pauses a playbook; told before it is so."""

    playbook: str
    change: str
    """`put`, `remove`, `take-over` (it was there before versions were signed) or `pause`; of a
    pause, `playbook` is empty."""
    digest: str
    """SHA-256 of its text."""
    reason: str = ""
    seconds: int = 0
    """For how long a project is paused."""
    playbook_version: int = 0
    """Which one it makes."""


class PlaybookRefused(Fact, frozen=True, kw_only=True):
    """What is kept of a playbook is not what the vault has signed: it does not act."""

    playbook: str
    playbook_version: int
    """0: nobody knows."""
    problem: str


class PlaybookStep(Fact, frozen=True, kw_only=True):
    """A playbook is about to act, has acted, or waits for a person to say so."""

    playbook: str
    run: str
    incident: str
    finding: str
    step: str
    """A `casemate.model.playbook.Step`."""
    action: str = ""
    target: str = ""
    undo: str = ""
    """How it is taken back: a command."""
    reason: str = ""
    """Why it waits, or why it failed."""


class EvidenceSealed(Fact, frozen=True, kw_only=True):
    """What is on record of an incident was put into an archive; told before it is kept."""

    evidence: str
    incident: str
    sha256: str
    """Of the archive."""
    size: int


class EvidenceReleased(Fact, frozen=True, kw_only=True):
    """Somebody ends the hold of an archive; told before it is deleted."""

    evidence: str
    incident: str
    sha256: str
    reason: str


class AlertsSilenced(Fact, frozen=True, kw_only=True):
    """Somebody has no alerts sent of a rule for a time; what it finds is kept all the same."""

    rule: str
    seconds: int
    """For how long; 0: a silence is ended."""
    reason: str
