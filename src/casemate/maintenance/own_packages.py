"""What advisories say of the packages that this installation of Casemate is made of."""

from __future__ import annotations

from casemate.advisories import Ecosystem, Judgement, Package, Place, judge
from casemate.host_support.standing import Standing, State
from casemate.maintenance.installed import installed


def own_packages() -> list[Package]:
    """Return Casemate and everything that it needs, as installed; extras are left out."""
    return sorted(
        Package(ecosystem=Ecosystem.PYPI, name=name, version=each.version)
        for name, each in installed().items()
    )


def own_standing(place: Place) -> Standing:
    """Return whether advisories know of holes in them."""
    packages = own_packages()
    told: Judgement = judge(packages, place)
    name = "casemate's packages"
    if told.findings:
        shown = ", ".join(
            f"{each.package.name} {each.package.version}: {each.id}" for each in told.findings[:5]
        )
        more = f" and {len(told.findings) - 5} more" if len(told.findings) > 5 else ""
        return Standing(
            name=name,
            state=State.OPEN,
            detail=f"known vulnerabilities ({len(told.findings)}): {shown}{more}",
            next_step="Update Casemate and its dependencies.",
        )
    if not packages:
        return Standing(
            name=name,
            state=State.UNKNOWN,
            detail="its components are not known",
            next_step="Install Casemate from its package.",
        )
    if told.problems or told.not_judged:
        why = told.problems[0].text if told.problems else told.not_judged[0].reason
        return Standing(
            name=name,
            state=State.UNKNOWN,
            detail=f"{len(packages)} packages were not judged: {why}",
            next_step=told.next_step or "",
        )
    good = f"{len(packages)} without known vulnerabilities"
    return Standing(name=name, state=State.GOOD, detail=good)
