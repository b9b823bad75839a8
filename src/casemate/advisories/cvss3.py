"""CVSS 3.1 (and 3.0) base scores, by section 7 of FIRST's specification."""

from __future__ import annotations

from math import ceil

from casemate.advisories.vectors import metrics_of

_BASE = {
    "AV": "N,A,L,P",
    "AC": "L,H",
    "PR": "N,L,H",
    "UI": "N,R",
    "S": "U,C",
    "C": "H,L,N",
    "I": "H,L,N",
    "A": "H,L,N",
}
_FURTHER = {
    "E": "X,U,P,F,H",
    "RL": "X,O,T,W,U",
    "RC": "X,U,R,C",
    "CR": "X,L,M,H",
    "IR": "X,L,M,H",
    "AR": "X,L,M,H",
    **{f"M{name}": f"X,{values}" for name, values in _BASE.items()},
}
_ATTACK_VECTOR = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
_COMPLEXITY = {"L": 0.77, "H": 0.44}
_PRIVILEGES = {"N": 0.85, "L": 0.62, "H": 0.27}
_PRIVILEGES_CHANGED = {"N": 0.85, "L": 0.68, "H": 0.5}
_INTERACTION = {"N": 0.85, "R": 0.62}
_IMPACT = {"H": 0.56, "L": 0.22, "N": 0.0}


def base_score3(vector: str) -> float:
    """Return the base score of a vector of CVSS 3.0 or 3.1. Raises VectorError."""
    older = vector.startswith("CVSS:3.0/")
    metrics = metrics_of(vector, "CVSS:3.0" if older else "CVSS:3.1", _BASE, _FURTHER)
    changed = metrics["S"] == "C"
    kept = 1.0
    for name in "CIA":
        kept *= 1 - _IMPACT[metrics[name]]
    iss = 1 - kept
    impact = 7.52 * (iss - 0.029) - 3.25 * (iss - 0.02) ** 15 if changed else 6.42 * iss
    if impact <= 0:
        return 0.0
    privileges = (_PRIVILEGES_CHANGED if changed else _PRIVILEGES)[metrics["PR"]]
    exploitability = (
        8.22
        * _ATTACK_VECTOR[metrics["AV"]]
        * _COMPLEXITY[metrics["AC"]]
        * privileges
        * _INTERACTION[metrics["UI"]]
    )
    total = min((1.08 if changed else 1.0) * (impact + exploitability), 10.0)
    return ceil(total * 10) / 10 if older else _round_up(total)


def _round_up(value: float) -> float:
    """Round up to one decimal, the same on every machine (appendix A of 3.1)."""
    scaled = round(value * 100_000)
    return scaled / 100_000 if scaled % 10_000 == 0 else (scaled // 10_000 + 1) / 10
