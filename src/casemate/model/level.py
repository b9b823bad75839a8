"""How grave something is that rules of detection find."""

from __future__ import annotations

from enum import StrEnum


class Level(StrEnum):
    """How grave it is, as Sigma has it: from the least grave to the gravest."""

    INFORMATIONAL = "informational"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"
