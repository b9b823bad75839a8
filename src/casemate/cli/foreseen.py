"""What is known of a deploy before anything is built: what refuses it, all at once, and grants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from casemate.admission.grants import GrantDifference, spec_difference, with_forgotten
from casemate.cli.building import Workspace
from casemate.cli.client import NodeClient
from casemate.cli.deployed import deployed_functions, live_version
from casemate.cli.deployment import foresee
from casemate.cli.errors import CommandError
from casemate.cli.grant_report import (
    ApprovalNeededError,
    difference_rows,
    in_words_already,
    unused,
    uses_if_allowed,
)
from casemate.cli.names import FunctionName
from casemate.cli.unset_secrets import unset_secrets
from casemate.contracts import tighter, uncovered
from casemate.model.deployment import DeployedFunction
from casemate.model.function import FunctionSpec, named_resources
from casemate.model.grant import Grant
from casemate.operations.functions import Obstacle, PlannedFunction

GrantRow = tuple[str, str, str]
"""A line of the table of grants: function, what is the matter, the grant."""
_WIDENING = frozenset({"added", "widened"})
"""Rows of what is granted anew: a refusal for that names each of them, once is enough."""
_READING_SECONDS = 2.0
"""Of processor time for the code of all functions, which is read for what is not granted."""
_MAX_MISSING = 50
_Specs = Sequence[tuple[FunctionName, FunctionSpec]]


class ForeseenError(CommandError):
    """The node would not deploy this. Nothing was built."""


class ContractNotice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to know of a contract. Nothing waits for it."""

    function: str
    trigger: str
    """A trigger's name, `METHOD PATH` of a route, or `direct calls`."""
    kind: str
    """`tighter`: it would refuse what is accepted now. `none`: only the default limits hold."""
    detail: str = ""


class Plan(NamedTuple):
    """A deploy, as far as manifest and node tell of it."""

    names: list[FunctionName]
    before: dict[FunctionName, DeployedFunction]
    """What is deployed, by name."""
    rows: list[GrantRow]
    """What is to be known of the grants."""
    told: list[GrantRow]
    """Those of which people are told."""
    contracts: list[ContractNotice]
    unset: list[str]
    """Secrets that are wanted and not set."""
    refused: CommandError | None
    """Why it would not be deployed."""


def planned(client: NodeClient, workspace: Workspace, *, approve: bool, sigstore: bool) -> Plan:
    """Ask the node about functions that are to be built. Raises DeniedError if they may not be.

    The node decides the same again once they are built: this spares the work.
    """
    project = workspace.project
    foreseen = foresee(
        client,
        [
            PlannedFunction(
                project=project.name,
                spec=spec,
                resources=project.resources.granted(named_resources(spec)),
                packages=workspace.needs_packages(spec),
            )
            for spec in workspace.chosen
        ],
        approve=approve,
        sigstore=sigstore,
    )
    before = deployed_functions(client)
    specs = [(workspace.name_of(spec), spec) for spec in workspace.chosen]
    forgets = {each.function: each.grants for each in foreseen.forgets}
    rows, again, widening = _grants(client, specs, before, forgets)
    rows += _missing(workspace)
    unapproved = None
    if widening and not approve:
        first = [name for name, _ in widening if not _is_live(before.get(name))]
        unapproved = ApprovalNeededError(widening, first)
    return Plan(
        names=[name for name, _ in specs],
        before=before,
        rows=rows,
        told=[
            row
            for row in rows
            if row not in again and not (unapproved is not None and row[1] in _WIDENING)
        ],
        contracts=_contracts(specs, before),
        unset=unset_secrets(client, project.name, [spec for _, spec in specs]),
        refused=refusal(foreseen.obstacles, unapproved),
    )


def refusal(
    obstacles: Sequence[Obstacle], unapproved: ApprovalNeededError | None = None
) -> CommandError | None:
    """Return the one error that tells all that is in the way; None if nothing is."""
    by_message: dict[str, list[Obstacle]] = {}
    for each in obstacles:
        by_message.setdefault(each.message, []).append(each)
    parts = [_told(alike) for alike in by_message.values()]
    if unapproved is not None:
        for what, next_step in parts:
            unapproved.message += f"\n{what}" + (f" Next: {next_step}" if next_step else "")
        return unapproved
    if not parts:
        return None
    if len(parts) == 1:
        what, next_step = parts[0]
        return ForeseenError(f"{what} Nothing was built.", next_step=next_step or None)
    lines = [f"  {what}" + (f" Next: {step}" if step else "") for what, step in parts]
    return ForeseenError(
        "\n".join(["Nothing was built, because the node would not deploy this:", *lines]),
        next_step="Mend all of it, then deploy again.",
    )


def _is_live(known: DeployedFunction | None) -> bool:
    return known is not None and live_version(known) is not None


def _told(alike: Sequence[Obstacle]) -> tuple[str, str]:
    """Return what is said of several functions, and what to do about it."""
    names = ", ".join(dict.fromkeys(each.function for each in alike if each.function))
    return f"{names}: {alike[0].message}" if names else alike[0].message, alike[0].next_step


def _grants(
    client: NodeClient,
    specs: _Specs,
    before: dict[FunctionName, DeployedFunction],
    forgets: Mapping[str, tuple[Grant, ...]],
) -> tuple[list[GrantRow], set[GrantRow], list[tuple[FunctionName, GrantDifference]]]:
    """Return rows of what is to be known of the grants, which of them say it again, what widens.

    `forgets` is what each would have data forget: whoever approves has to be told.
    """
    rows: list[GrantRow] = []
    again: set[GrantRow] = set()
    widening = []
    for name, spec in specs:
        known = before.get(name)
        live = live_version(known) if known is not None else None
        old = named_resources(live.spec) if live is not None else ()
        new = named_resources(spec)
        granted = spec_difference(live.spec if live is not None else None, spec)
        found = with_forgotten(granted, forgets.get(str(name), ()))
        if found.widens:
            widening.append((name, found))
        if old or new:
            seen = uses_if_allowed(client, name, live.number) if live and old else None
            idle = []
            if seen is not None and seen.uses:
                idle = unused(seen.granted, (*seen.uses, *seen.others))
            rows += difference_rows(name, found, old, new, idle)
            again |= in_words_already(name, found, old, new)
    return rows, again, widening


def _missing(workspace: Workspace) -> list[GrantRow]:
    """Return rows of what the code calls and nothing grants: told before a call is refused."""
    from casemate.audit.notes import FAULTS
    from casemate.audit.privileges.ungranted import ungranted_uses

    names = {spec.name: workspace.name_of(spec) for spec in workspace.chosen}
    try:
        found = ungranted_uses(workspace.path.absolute(), names, seconds=_READING_SECONDS)
    except FAULTS:
        return []  # the code is a stranger's, and this is advice
    return [
        (
            str(names[each.function]),
            "missing",
            f"{each.kind} {each.resource}: {each.action}, called at {each.place}",
        )
        for each in found[:_MAX_MISSING]
    ]


def _contracts(specs: _Specs, before: dict[FunctionName, DeployedFunction]) -> list[ContractNotice]:
    """Return what is to be known of contracts."""
    found = []
    for name, spec in specs:
        known = before.get(name)
        live = live_version(known) if known is not None else None
        for what, line in tighter(live.spec if live is not None else None, spec):
            found.append(
                ContractNotice(function=str(name), trigger=what, kind="tighter", detail=line)
            )
        found += [
            ContractNotice(function=str(name), trigger=what, kind="none")
            for what in uncovered(spec)
        ]
    return found
