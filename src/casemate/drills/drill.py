"""What an attack is: how it is played, and what must become of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Way(StrEnum):
    """How an attack reaches the node."""

    CALL = "call"
    """The function of the attacker runs it: it has got as far as running code."""
    EVENT = "event"
    """An event brings hostile data to a function that is careless with it."""
    REQUEST = "request"
    """Somebody without the right asks over the network."""
    ERROR = "error"
    """A function fails in a way that would tell its caller about the inside."""
    RESIDUE = "residue"
    """A call leaves something behind for the next one."""
    MISUSE = "misuse"
    """Somebody with a right misuses it, or goes on and on: a rule of detection must find it."""
    RECORDED = "recorded"
    """A rule of detection is run over the attack that it comes with, and not on the node."""
    CONTAINMENT = "containment"
    """Not an attack: what is done about one, and taken back."""


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """One attack."""

    id: str
    title: str
    way: Way
    risk: int
    """Which of the six risks: 1 insecure configuration, 2 over-privileged functions, 3 injection,
    4 inadequate monitoring, 5 verbose errors, 6 insecure dependencies."""
    technique: str
    """Of ATT&CK."""
    cloud: str = ""
    """Its counterpart among the public attack techniques against clouds; empty: none."""
    source: str = ""
    """Of an event: the kind of its trigger; `http`: a direct call, `async`: a kept one."""
    play: dict[str, Any] = {}
    """What the way needs to know."""
    refused: frozenset[int] = frozenset()
    """Of `call`: errors of the kernel that count as prevented."""
    rule: str = ""
    """The rule of detection that must find it; empty: none has to."""
    recorded: str = ""
    """Why it is not played on the node; empty: it is."""
    denied: str = ""
    """The kind of denial that must be on record; empty: the record of the invocation is all."""

    def outcome(self, **found: Any) -> Outcome:
        """Return what became of it, where this was found."""
        return Outcome(
            id=self.id,
            title=self.title,
            way=self.way,
            risk=self.risk,
            technique=self.technique,
            **found,
        )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attack."""

    id: str
    title: str
    way: Way
    risk: int
    technique: str
    prevented: bool = False
    detected: bool = False
    detected_seconds: float | None = None
    """From the attack to its record."""
    contained_seconds: float | None = None
    restored_seconds: float | None = None
    evidence: str = ""
    """Ids of the invocation or the denial."""
    problem: str = ""
    """Why it did not go as it must; empty: it did."""

    @property
    def passed(self) -> bool:
        """Tell whether the attack was stopped, and what must be known of it is known."""
        return not self.problem


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all attacks of one run."""

    id: str
    node: str
    project: str
    at: float
    """Unix time of its begin."""
    seconds: float
    outcomes: tuple[Outcome, ...]
    findings: dict[str, int] = {}
    """Rules of detection that found something of the project, and how often."""
    calls: int = 0
    """Ordinary calls that were made beside the attacks."""
    lost_calls: int = 0
    """Those of them that were not answered as always."""
    left: str = ""
    """What could not be cleaned up."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Return those that did not go as they must."""
        return tuple(each for each in self.outcomes if not each.passed)

    @property
    def passed(self) -> bool:
        """Tell whether all went as it must."""
        return not self.failed and not self.lost_calls and not self.left and bool(self.outcomes)
