"""Contracts: what an event's data must be before any code of a function runs.

A contract is a JSON Schema (2020-12) of the author's; without one, strict default limits hold.
Not the place where events are checked on the path (`admission`), and nothing here reads files or
follows a reference out of a schema. May import `model` and nothing else of ours.
"""

from casemate.contracts.difference import tightened
from casemate.contracts.inference import infer
from casemate.contracts.limits import exceeded, too_large
from casemate.contracts.report import DIRECT, contracts_of, tighter, uncovered
from casemate.contracts.schema import (
    DIALECT,
    MAX_BYTES,
    ONLY_FIRST,
    Contract,
    ContractError,
    Violation,
    canonical,
    values_of,
)

__all__ = [
    "DIALECT",
    "DIRECT",
    "MAX_BYTES",
    "ONLY_FIRST",
    "Contract",
    "ContractError",
    "Violation",
    "canonical",
    "contracts_of",
    "exceeded",
    "infer",
    "tightened",
    "tighter",
    "too_large",
    "uncovered",
    "values_of",
]
