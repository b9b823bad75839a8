"""What advisories say of the packages that this installation of Casemate is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

from casemate.advisories import Ecosystem, Judgement, Package, Place, judge, normalised
from casemate.host_support.standing import Standing, State

_MAX_PACKAGES = 2_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


def own_packages() -> list[Package]:
    """Return Casemate and everything that it needs, as installed; extras are left out."""
    found: dict[str, Package] = {}
    pending = ["casemate"]
    while pending and len(found) < _MAX_PACKAGES:
        name = normalised(Ecosystem.PYPI, pending.pop()) or ""
        if not name or name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # needed on another platform, or with an extra
        found[name] = Package(ecosystem=Ecosystem.PYPI, name=name, version=distribution.version)
        pending += _needed(distribution.requires or [])
    return sorted(found.values())


def _needed(requirements: list[str]) -> Iterator[str]:
    for line in requirements:
        match = _NAME.match(line)
        if match is not None and "extra ==" not in line:
            yield match.group()


def own_standing(place: Place, *, now: float | None = None) -> Standing:
    """Return whether advisories know of holes in them."""
    packages = own_packages()
    told: Judgement = judge(packages, place, now=now)
    name = "casemate's packages"
    if told.findings:
        shown = ", ".join(
            f"{each.package.name} {each.package.version}: {each.id}" for each in told.findings[:5]
        )
        more = f" and {len(told.findings) - 5} more" if len(told.findings) > 5 else ""
        return Standing(
            name=name,
            state=State.ENDED,
            detail=f"{len(told.findings)} known hole(s): {shown}{more}",
            next_step="update Casemate and what it needs",
        )
    if told.problems or told.not_judged:
        why = told.problems[0].text if told.problems else told.not_judged[0].reason
        return Standing(
            name=name,
            state=State.UNKNOWN,
            detail=f"{len(packages)} packages were not judged: {why}",
            next_step=told.next_step or "",
        )
    return Standing(name=name, state=State.GOOD, detail=f"{len(packages)} without known holes")
