"""Asks the node before anything is uploaded about known holes and licences of packages."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from casemate.cli.client import NodeClient
from casemate.cli.deployment import Wanted
from casemate.cli.errors import CommandError
from casemate.cli.node_advisories import print_holes
from casemate.cli.node_licences import print_licences
from casemate.cli.terminal import RED, note
from casemate.model.vulnerability import Hole, JudgedFunction
from casemate.operations.advisories import JudgePackages

if TYPE_CHECKING:
    from casemate.sbom.symbols import Found

_MAX_NAMED = 10


class KnownHolesError(CommandError):
    """Packages have known holes, or cannot be looked up; nothing was sent."""


class LicencesRefusedError(CommandError):
    """Packages are under licences that the node does not allow; nothing was sent."""


@dataclass(frozen=True, kw_only=True)
class JudgedBundle:
    """What the node says of the packages of a bundle, and how its code comes to them."""

    function: str
    judged: JudgedFunction
    reached: dict[str, str] = field(default_factory=dict)
    """By package, in words."""
    symbols: dict[str, Found] = field(default_factory=dict)
    """What can be said of what has each hole, by its key."""

    def way(self, hole: Hole) -> str:
        """Return in words how the code comes to a hole."""
        way, found = self.reached.get(hole.package, ""), self.symbols.get(hole.key)
        return way if found is None else f"{way}; {found.reach.value}: {found.why}"


def judged_bundles(client: NodeClient, wanted: Sequence[Wanted]) -> list[JudgedBundle]:
    """Ask the node about each bundle that has packages of others."""
    from casemate.sbom import bundle_licences
    from casemate.sbom.reaching import reached
    from casemate.sbom.symbols import reach_of

    found = []
    for one in wanted:
        manifest = one.built.manifest
        if not manifest.packages:
            continue
        name = one.name
        judged = client.call(
            JudgePackages(
                project=name.project,
                function=name.function,
                packages=manifest.packages,
                licences=bundle_licences(one.built.path, manifest),
            )
        )
        ways = {}
        if judged.holes:
            known = reached(one.built.path, manifest)
            ways = {hole.package: known.of(hole.package) for hole in judged.holes}
        named = {hole.key: hole.symbols for hole in judged.holes}
        reach = reach_of(named, one.built.path, manifest)
        found.append(JudgedBundle(function=str(name), judged=judged, reached=ways, symbols=reach))
    return found


def print_judged(found: Sequence[JudgedBundle], *, untold: str = "") -> None:
    """Print the holes, and why packages could not be looked up, but for what is `untold`."""
    holes = [(one, hole) for one in found for hole in one.judged.holes]
    if holes:
        print_holes(
            [(one.function, hole) for one, hole in holes],
            [one.way(hole) for one, hole in holes],
        )
    print_licences([(one.function, each) for one in found for each in one.judged.licences])
    for one in found:
        for problem in one.judged.problems:
            if problem == untold and one.judged.refused:
                continue  # the refusal says so, and of which functions
            if one.judged.exception:
                note(f"{one.function}: {problem} The exception {one.judged.exception} accepts it.")
            else:
                note(f"{one.function}: {problem}", RED)


def require_none(found: Sequence[JudgedBundle], *, table: bool) -> None:
    """Raise KnownHolesError if some bundle would not be deployed. `table` prints what is known."""
    refused = [one for one in found if one.judged.refused]
    holes = [hole for one in refused for hole in one.judged.refusing]
    lacking = next((o for o in refused if o.judged.problems and not o.judged.exception), None)
    if table:
        by_refusal = lacking.judged.problems[0] if lacking is not None and not holes else ""
        print_judged(found, untold=by_refusal)
    if not refused:
        return
    first = refused[0]
    if not holes and lacking is None:
        raise _refused_licences(refused)
    if not holes and lacking is not None:
        from casemate.advisories.database import IMPORT_TO_NODE  # slow to load

        first, each = lacking, " for each" if len(refused) > 1 else ""
        raise KnownHolesError(
            f"Nothing is deployed: the packages of {_names(refused)} cannot be looked up. "
            f"{first.judged.problems[0]}",
            next_step=f"Import advisories, of osv.dev or a mirror: {IMPORT_TO_NODE}. Or record an "
            f"exception{each}: `casemate advisories except {first.function} --without-advisories "
            "--for 7d --reason TEXT`",
        )
    raise KnownHolesError(
        "Nothing is deployed, because of known vulnerabilities in the packages of "
        f"{_names(refused)}: {', '.join(dict.fromkeys(_named(hole) for hole in holes))}.",
        next_step="Take versions with a fix: `casemate deps update`. Or record an "
        f"exception for each: `casemate advisories except {first.function} --advisory "
        f"{holes[0].id} --package {holes[0].package} --for 30d --reason TEXT`",
    )


def _refused_licences(refused: Sequence[JudgedBundle]) -> LicencesRefusedError:
    findings = [(one.function, each) for one in refused for each in one.judged.refusing_licences]
    named = (f"{each.package} {each.version} ({each.why})" for _, each in findings[:_MAX_NAMED])
    rest = f"; and {len(findings) - _MAX_NAMED} more" if len(findings) > _MAX_NAMED else ""
    function, first = findings[0]
    return LicencesRefusedError(
        f"Nothing is deployed, because of licences of the packages of {_names(refused)}: "
        f"{'; '.join(named)}{rest}.",
        next_step="Take other packages. Or have whoever administers the node allow the licences: "
        "casemate advisories licences. Or record an exception for each: casemate advisories "
        f"except {function} --advisory {shlex.quote(first.id)} --package "
        f"{shlex.quote(first.package)} --for 30d --reason TEXT",
    )


def _names(found: Sequence[JudgedBundle]) -> str:
    return ", ".join(one.function for one in found)


def _named(hole: Hole) -> str:
    return f"{hole.id} in {hole.package} {hole.version}"
