"""What a rule is once it is read: what it says of itself, and what is asked of an event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from casemate.detection.fields import Get
from casemate.detection.selections import Check
from casemate.model.level import Level


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule says of itself."""

    id: str
    name: str
    """What people and correlations call it by; the id where it has none."""
    title: str
    description: str = ""
    level: Level | None = None
    """None only for a rule that is told of by correlations alone."""
    tags: tuple[str, ...] = ()
    falsepositives: tuple[str, ...] = ()
    hours: bool = False
    """Whether it asks for the hour of a time, which depends on whose clock one goes by."""
    place: str
    """Where it stands: file and line."""

    @property
    def techniques(self) -> tuple[str, ...]:
        """The techniques of ATT&CK among its tags, such as `T1110.003`."""
        found = (tag.removeprefix("attack.") for tag in self.tags if tag.startswith("attack.t"))
        return tuple(name.upper() for name in found if name[1:2].isdigit())


class CorrelationType(StrEnum):
    """Kinds of correlations that are matched."""

    EVENT_COUNT = "event_count"
    """So many events, those that stand for several counted so often."""
    VALUE_COUNT = "value_count"
    """So many different values of a field."""
    TEMPORAL = "temporal"
    """Each of the rules at least once, in any order."""
    TEMPORAL_ORDERED = "temporal_ordered"
    """One rule, and then another, by the times of their events."""

    @property
    def of_rules(self) -> bool:
        """Tell whether rules count, and not their events."""
        return self in (CorrelationType.TEMPORAL, CorrelationType.TEMPORAL_ORDERED)


class Anchor(msgspec.Struct, frozen=True):
    """A field that must be one of a few texts for a rule to match: it need not be tried else."""

    path: str
    texts: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of single events."""

    about: About
    check: Check
    anchors: tuple[Anchor, ...]
    entity: tuple[tuple[str, Get], ...]
    """Fields that tell whom or what a finding is about, with their paths."""


@dataclass(frozen=True, kw_only=True)
class Correlation:
    """A rule of several events, or of several rules."""

    about: About
    type: CorrelationType
    rules: tuple[str, ...]
    """Names or ids of the rules whose events it looks at."""
    entity: tuple[tuple[str, Get], ...]
    """`group-by`: events that are alike in these fields belong together."""
    seconds: float
    least: int
    """As many are a match; of `temporal` and `temporal_ordered` all rules."""
    field: Get | None = None
    """Whose different values are counted."""
    generate: bool = False
    """Whether its rules are told of, too."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What is left out of other rules."""

    about: About
    rules: tuple[str, ...] | None
    """None: all of them."""
    check: Check
