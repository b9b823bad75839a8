"""The packages that this installation of Casemate is made of."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import InvalidRequirement, Requirement

from casemate.advisories import Ecosystem, normalised

OWN = "casemate"


def installed() -> dict[str, Distribution]:
    """Return Casemate and everything that it needs, by name; extras are left out.

    Others that are installed beside them are not its.
    """
    found: dict[str, Distribution] = {}
    waiting = [OWN]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        waiting += needs_of(found[name])
    return found


def needs_of(package: Distribution) -> list[str]:
    """Return the names of what a package needs on this platform."""
    names = []
    for text in package.requires or ():
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue
        name = normalised(Ecosystem.PYPI, needed.name)
        if name and (needed.marker is None or needed.marker.evaluate({"extra": ""})):
            names.append(name)
    return names
