"""What a process of a function is started with, by what is usual of it. Pure: no clock, no I/O."""

from __future__ import annotations

import msgspec

from casemate.baselines.learned import Learned
from casemate.guard.shapes import id_of
from casemate.kernel.system_calls import NOTABLE
from casemate.model.baseline import Aspect, OnDeviation
from casemate.model.deployment import Version
from casemate.model.grant import Grant, GrantKind


def narrowed(learned: Learned, version: Version, grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Return grants of egress without what is to be refused; of a wildcard the usual hosts."""
    if not learned.locked or not _refuses(version):
        return grants
    kept: list[Grant] = []
    for grant in grants:
        known = learned.sets.get(Aspect.HOST, set())
        if grant.kind is not GrantKind.EGRESS or f"{grant.text} connect" in learned.opened:
            kept.append(grant)
        elif not grant.name.startswith("*."):
            kept += [grant] if grant.name in known else []
        else:
            exact = {one.name for one in grants}
            only = Learned(since=0.0, opened=frozenset({f"{grant.text} connect"}))
            kept += [
                msgspec.structs.replace(grant, name=host)
                for host in sorted(known - exact)
                if only.is_open(Aspect.HOST, host)
            ]
    return tuple(kept)


def shapes(learned: Learned, version: Version) -> tuple[tuple[str, ...], bool]:
    """Return the ids of shapes that are usual, and whether a version may meet no others.

    Code that is newer than the lock may: what it puts together nobody has seen yet.
    """
    # Where there was no room for all of them it is not known which are usual.
    whole = not learned.left_out.get(Aspect.SHAPE)
    known = sorted(map(id_of, learned.sets.get(Aspect.SHAPE, ())))
    return tuple(known), whole and _is_closed(learned, version)


def calls(learned: Learned, version: Version) -> tuple[tuple[str, ...], bool]:
    """Return about which system calls a version's filter asks, and whether they are refused.

    Not where nobody has looked yet which are usual, and code that is newer than the lock may make
    any: what it makes is told. None, if its manifest does not have them learned.
    """
    if not version.spec.baseline.system_calls:
        return (), True
    usual = learned.sets.get(Aspect.SYSTEM_CALL, set())
    asked = tuple(name for name in NOTABLE if name not in usual)
    return asked, learned.looked and _is_closed(learned, version)


def _is_closed(learned: Learned, version: Version) -> bool:
    """Tell whether what is not usual of a version's code is refused."""
    return learned.locked and _refuses(version) and version.number <= learned.locked_version


def _refuses(version: Version) -> bool:
    return version.spec.baseline.on_deviation is OnDeviation.REFUSE
