"""Detection: what events of the journal mean together, by rules in a named subset of Sigma.

Pure: rules are compiled once, a `Detector` sees events one after the other and returns findings. It
reads no journal, notifies nobody and does not react to findings: its caller does.
"""

from casemate.detection.detector import Detector, Finding, Memory, Since, over
from casemate.detection.errors import RuleError
from casemate.detection.rule import About, CorrelationType
from casemate.detection.rules import Rules, rules_of
from casemate.detection.shipped import (
    attacks_of,
    examples,
    shipped_rules,
    shipped_texts,
    twins_of,
    with_own,
)
from casemate.detection.values import NO_HOUR
from casemate.model.level import Level

__all__ = [
    "NO_HOUR",
    "About",
    "CorrelationType",
    "Detector",
    "Finding",
    "Level",
    "Memory",
    "RuleError",
    "Rules",
    "Since",
    "attacks_of",
    "examples",
    "over",
    "rules_of",
    "shipped_rules",
    "shipped_texts",
    "twins_of",
    "with_own",
]
