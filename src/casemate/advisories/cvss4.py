"""CVSS 4.0 base scores, by section 8 of FIRST's specification.

Only base metrics count: threat and environment are whoever deploys', not the advisory's. So
exploit maturity is "attacked", the three requirements are high, and safety is not at stake, which
leaves these macro vectors of the specification's table.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from itertools import product

from casemate.advisories.vectors import metrics_of

_BASE = {
    "AV": "N,A,L,P",
    "AC": "L,H",
    "AT": "N,P",
    "PR": "N,L,H",
    "UI": "N,P,A",
    "VC": "H,L,N",
    "VI": "H,L,N",
    "VA": "H,L,N",
    "SC": "H,L,N",
    "SI": "H,L,N",
    "SA": "H,L,N",
}
_FURTHER = {
    "E": "X,A,P,U",
    "CR": "X,H,M,L",
    "IR": "X,H,M,L",
    "AR": "X,H,M,L",
    **{f"M{name}": f"X,{values}" for name, values in _BASE.items()},
    "MSI": "X,S,H,L,N",
    "MSA": "X,S,H,L,N",
    "S": "X,N,P",
    "AU": "X,N,Y",
    "R": "X,A,U,I",
    "V": "X,D,C",
    "RE": "X,L,M,H",
    "U": "X,Clear,Green,Amber,Red",
}
_SCORES = {
    # (EQ3, EQ6, EQ4): for EQ1 of 0 to 2 and, in it, EQ2 of 0 and 1. EQ5 is 0.
    (0, 0, 1): (10.0, 9.5, 9.4, 9.0, 8.6, 7.3),
    (0, 0, 2): (9.3, 9.2, 8.7, 7.7, 7.0, 5.4),
    (0, 1, 1): (9.6, 9.1, 8.9, 7.7, 7.4, 5.5),
    (0, 1, 2): (9.0, 8.1, 7.5, 6.6, 5.4, 4.3),
    (1, 0, 1): (9.3, 9.2, 8.6, 7.4, 7.2, 6.1),
    (1, 0, 2): (8.8, 8.4, 7.2, 6.1, 5.3, 4.6),
    (1, 1, 1): (9.2, 8.2, 7.6, 5.9, 5.7, 5.1),
    (1, 1, 2): (8.0, 7.0, 5.7, 5.2, 3.6, 1.8),
    (2, 1, 1): (7.9, 7.1, 6.5, 5.8, 4.7, 2.4),
    (2, 1, 2): (6.9, 6.3, 5.3, 2.3, 2.4, 1.0),
}
# How many steps below its highest vectors a macro vector reaches.
_DEPTH1 = (1, 4, 5)
_DEPTH2 = (1, 2)
_DEPTH36 = {(0, 0): 7, (1, 0): 8, (2, 1): 10}
_DEPTH4 = {1: 5, 2: 4}
# The highest vectors of each, as steps of its metrics.
_HIGHEST1 = (((0, 0, 0),), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), ((3, 0, 0), (1, 1, 1)))
_HIGHEST2 = (((0, 0),), ((1, 0), (0, 1)))
_HIGHEST36 = {(0, 0): ((0, 0, 0),), (1, 0): ((1, 0, 0), (0, 1, 0)), (2, 1): ((1, 1, 1),)}
_HIGHEST4 = {1: ((0, 0, 0),), 2: ((1, 1, 1),)}

Steps = tuple[int, ...]


def base_score4(vector: str) -> float:
    """Return the base score of a vector of CVSS 4.0. Raises VectorError."""
    metrics = metrics_of(vector, "CVSS:4.0", _BASE, _FURTHER)
    step = {name: _BASE[name].split(",").index(metrics[name]) for name in _BASE}
    exploit = (step["AV"], step["PR"], step["UI"])
    complexity = (step["AC"], step["AT"])
    vulnerable = (step["VC"], step["VI"], step["VA"])
    subsequent = (step["SC"], step["SI"], step["SA"])
    if {*vulnerable, *subsequent} == {2}:
        return 0.0
    eq1, eq2 = _eq1(exploit), int(any(complexity))
    eq3 = 0 if vulnerable[:2] == (0, 0) else 1 if 0 in vulnerable else 2
    eq6 = 0 if 0 in vulnerable else 1
    eq4 = 1 if 0 in subsequent else 2
    value = _SCORES[eq3, eq6, eq4][2 * eq1 + eq2]
    distances = _distances(
        (exploit, complexity, vulnerable, subsequent),
        (_HIGHEST1[eq1], _HIGHEST2[eq2], _HIGHEST36[eq3, eq6], _HIGHEST4[eq4]),
    )
    lower = (
        _score(eq1 + 1, eq2, eq3, eq6, eq4),
        _score(eq1, eq2 + 1, eq3, eq6, eq4),
        _lower36(eq1, eq2, eq3, eq6, eq4),
        _score(eq1, eq2, eq3, eq6, eq4 + 1),
    )
    depths = (_DEPTH1[eq1], _DEPTH2[eq2], _DEPTH36[eq3, eq6], _DEPTH4[eq4])
    # There always is a lower macro vector by exploit maturity, at a distance of nothing.
    parts = [Decimal(0)]
    for below, distance, depth in zip(lower, distances, depths, strict=True):
        if below is not None:
            parts.append((Decimal(str(value)) - Decimal(str(below))) * distance / depth)
    score = Decimal(str(value)) - sum(parts, Decimal(0)) / len(parts)
    return float(min(max(score, Decimal(0)), Decimal(10)).quantize(Decimal("0.1"), ROUND_HALF_UP))


def _eq1(exploit: Steps) -> int:
    if exploit == (0, 0, 0):
        return 0
    return 1 if 0 in exploit and exploit[0] != 3 else 2


def _score(eq1: int, eq2: int, eq3: int, eq6: int, eq4: int) -> float | None:
    row = _SCORES.get((eq3, eq6, eq4))
    return row[2 * eq1 + eq2] if row is not None and eq1 < 3 and eq2 < 2 else None


def _lower36(eq1: int, eq2: int, eq3: int, eq6: int, eq4: int) -> float | None:
    """Return the score of the next lower EQ3 and EQ6, which go together; the higher of two."""
    below = {(0, 0): ((0, 1), (1, 0)), (1, 0): ((1, 1),)}.get((eq3, eq6), ())
    scores = [_score(eq1, eq2, lower3, lower6, eq4) for lower3, lower6 in below]
    return max((score for score in scores if score is not None), default=None)


def _distances(given: tuple[Steps, ...], highest: tuple[tuple[Steps, ...], ...]) -> list[int]:
    """Return the steps of each part below the first highest vector that none is above."""
    for vector in product(*highest):
        steps = [
            [own - top for own, top in zip(part, tops, strict=True)]
            for part, tops in zip(given, vector, strict=True)
        ]
        if all(step >= 0 for part in steps for step in part):
            return [sum(part) for part in steps]
    return [0] * len(given)  # not reached: each macro vector lies below one of its highest
