"""Attempts to break a node, by class, as programs that anybody can run again.

Each class is a module with `attempts(node)`, which yields what was tried and whether it worked.
`python -m support.attempts` (from `tests/`) starts a node and prints each; `test_attempts.py` wants
that nothing works.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """One try. `worked` is the attacker's word: True is a hole."""

    name: str
    worked: bool
    told: str = ""


LEFT = frozenset({"inode numbers of memfds", "inode numbers of pipes", "cookies of sockets"})
"""Hazards of a shared kernel that SECURITY.md names as left."""
OF_RISKS = {"shared-uid": frozenset({"descriptors in flight, of a memfd chain"})}
"""What works where a risk is accepted: it is what the risk is about, and SECURITY.md says so."""


def accepted(name: str, risks: Collection[str]) -> str:
    """Return what lets an attempt work: the name of a risk, "left", or nothing."""
    if name in LEFT:
        return "left"
    return next((risk for risk in risks if name in OF_RISKS.get(risk, ())), "")


class BrokenAttemptError(Exception):
    """An attempt that tries nothing: its own code is wrong, and what it ends with says nothing."""


def tried(name: str, way: Callable[[], tuple[bool, str]]) -> Attempt:
    """Return what came of one that may be broken; one that tries nothing counts as a hole."""
    try:
        return Attempt(name, *way())
    except BrokenAttemptError as error:
        return Attempt(name, True, f"tries nothing: {error}")


def shown(name: str, holds: bool, told: str = "") -> Attempts:
    """Yield a hole unless what a class's attempts rest on holds: else they try nothing."""
    if not holds:
        yield Attempt(name, True, f"the attempts try nothing: {told}")


Attempts = Iterator[Attempt]
