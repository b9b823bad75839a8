"""How bad an advisory is: the score of its vectors, in FIRST's words."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from casemate.advisories.cvss3 import base_score3
from casemate.advisories.cvss4 import base_score4
from casemate.advisories.errors import VectorError


class Severity(StrEnum):
    """Words for scores (CVSS 3.1 section 5, 4.0 section 6); unknown where nothing can be scored."""

    UNKNOWN = "unknown"
    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


RANK = {severity: rank for rank, severity in enumerate(Severity)}
_WORDS = {"MODERATE": Severity.MEDIUM, **{word.name: word for word in Severity}}


class Rating(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A severity, the score it comes from, and the vector that was scored."""

    severity: Severity
    score: float | None = None
    vector: str | None = None


def severity_of(score: float) -> Severity:
    """Return the word for a score."""
    for least, word in ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM)):
        if score >= least:
            return word
    return Severity.LOW if score > 0 else Severity.NONE


def score_of(vector: str) -> float:
    """Return the base score of a vector of CVSS 3.0, 3.1 or 4.0. Raises VectorError."""
    return base_score4(vector) if vector.startswith("CVSS:4.") else base_score3(vector)


def rating_of(vectors: Iterable[str], word: str | None) -> Rating:
    """Return the highest of the ratings by vector; by the database's own word where none scores."""
    best: Rating | None = None
    for vector in vectors:
        try:
            score = score_of(vector)
        except VectorError:
            continue
        if best is None or score > (best.score or 0.0):
            best = Rating(severity_of(score), score, vector)
    return best or Rating(_WORDS.get((word or "").strip().upper(), Severity.UNKNOWN))
