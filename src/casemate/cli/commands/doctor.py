"""`casemate doctor`: what holds on this host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

import typer

from casemate.cli.commands.serve import FunctionIdsOption
from casemate.cli.errors import ExitCode
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import (
    GREEN,
    RED,
    YELLOW,
    print_json,
    print_line,
    print_prose,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from casemate.host_support.standing import Standing
    from casemate.maintenance.finding import Finding
    from casemate.maintenance.libraries import Library

app = new_app()

_RISKS = {"own user ids": "shared-uid", "own inodes": "shared-files"}
"""Names by which protections are given up, where these are not their own."""
_OF_A_NODE = (
    "This is about the host. For a running node, `casemate vault status` shows its keys and "
    "their memory, and `casemate audit node` its weaknesses."
)


@command(
    app,
    examples="""\
$ casemate doctor
$ casemate doctor --json
In a container, with the ids that its node is started with
$ casemate doctor --function-ids 4096:32768
""",
)
def doctor(function_ids: FunctionIdsOption = None, json: JsonOption = False) -> None:
    """Probe every protection on this host and say which hold.

    Each protection is tried, not looked up. At the end a function tries, in a sandbox as in
    production, what it must not be able to do. The exit code is 1 if a required protection does not
    hold; the output says what to do about it, and ends with whether a node starts on this host.

    For information, the output says whether the software below the node still gets security fixes:
    Python, distribution, kernel, pending security updates, and what imported advisories say about
    Casemate's own packages. Python, OpenSSL and SQLite are not covered by imported advisories;
    their known vulnerabilities are in a dated list that comes with Casemate. None of this uses the
    network. Then come the versions of Python and of all C libraries that this installation
    brings, to be compared with the advisories of their projects.

    If CASEMATE_STORE and CASEMATE_OBJECTS are set, as for `casemate serve`, the command also checks
    the database that nodes share (reachable, safe settings, timeline, synchronous standbys, this
    host's clock against its own), the other nodes and their versions, and the bucket.
    """
    from casemate.advisories import default_place
    from casemate.host_support.standing import support
    from casemate.maintenance.cluster_doctor import examine_cluster
    from casemate.maintenance.doctor import examine
    from casemate.maintenance.libraries import libraries
    from casemate.maintenance.own_components import component_standings
    from casemate.maintenance.own_packages import own_standing

    with progress("Trying every protection"):
        findings = [*examine(function_ids), *examine_cluster(os.environ)]
        today = date.today()
        own = own_standing(default_place(os.environ))
        standings = [*support(today), own, *component_standings(today)]
    found = libraries()
    missing = [finding for finding in findings if not finding.holds]
    failed = [finding for finding in missing if finding.required]
    if json:
        told = {"findings": findings, "support": standings, "libraries": found}
        print_json({"ok": not failed, **told})
    else:
        states = {True: "MISSING", False: "not here"}
        rows = [(f.name, "holds" if f.holds else states[f.required], f.detail) for f in findings]
        print_table(("protection", "state", "detail"), rows, empty="", below=("detail",))
        _print_missing(missing)
        _print_for_information(standings, found)
        _print_next(standings)
        print_line()
        _print_verdict(findings)
        print_prose(_OF_A_NODE)
    if failed:
        raise typer.Exit(ExitCode.FAILURE)


def _print_missing(missing: Sequence[Finding]) -> None:
    """Say of each protection that does not hold what to do, those first that a node requires."""
    for finding in sorted(missing, key=lambda one: not one.required):
        print_line()
        print_prose(f"{finding.name}: {finding.detail}", RED if finding.required else YELLOW)
        if finding.next_step:
            print_prose(f"Next: {finding.next_step}")


def _print_for_information(standings: Sequence[Standing], found: Sequence[Library]) -> None:
    """Print what keeps no node from starting."""
    print_line()
    print_prose("For information; a node starts whatever stands here:")
    rows = [(one.name, str(one.state), one.detail) for one in standings]
    print_table(("support of", "state", "detail"), rows, empty="", below=("detail",))
    print_line()
    print_table(
        ("library", "version", "brought by", "used for"),
        [(one.name, one.version or "does not say", one.bundled_in, one.use) for one in found],
        empty="",
        below=("used for",),
    )


def _print_next(standings: Sequence[Standing]) -> None:
    """Print what to do about what is for information, the most urgent first."""
    urgent = ("open", "ended", "soon", "unknown", "good")
    to_do = [one for one in standings if one.next_step]
    if to_do:
        print_line()
    for one in sorted(to_do, key=lambda one: urgent.index(str(one.state))):
        print_prose(f"Next, for {one.name}: {one.next_step}", YELLOW)


def _print_verdict(findings: Sequence[Finding]) -> None:
    """Print how many protections hold, and whether a node starts on this host."""
    from casemate.supervisor.options import RISKS

    held = sum(one.holds for one in findings)
    counted = f"{held} of {len(findings)} protections are in place"
    failed = [one.name for one in findings if one.required and not one.holds]
    without = [one.name for one in findings if not one.required and not one.holds]
    if not failed:
        left = f", without {_listed(without)}" if without else ""
        print_prose(f"{counted}; `casemate serve` will start{left}.", GREEN)
        return
    why = f"`casemate serve` will refuse to start because of {_listed(failed)}"
    print_prose(f"{counted}; {why}.", RED)
    risks = [_RISKS.get(name, name) for name in failed]
    if all(risk in RISKS for risk in risks):
        options = " ".join(f"--accept-risk {risk}" for risk in risks)
        print_prose(
            f"Next: do what is said above, or have it start without that protection: {options}"
        )
    else:
        print_prose("Next: do what is said above.")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
