"""What a change of deployed functions is told as: who, from where, on what, and what it became."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from casemate.admission.forgetting import told
from casemate.model.deployment import Alias, NewVersion, Version
from casemate.model.facts import (
    Actor,
    AliasMoved,
    Fact,
    FunctionQuarantined,
    FunctionReleased,
    FunctionRemoved,
    GrantsApproved,
    TriggerChanged,
    VersionDeployed,
)
from casemate.model.function import FunctionSpec
from casemate.model.trigger import ScheduleTrigger, kind_of
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction

ApprovesAlone = Callable[[str, str, Actor], bool]
"""Tells whether nobody but one may approve what a function of a project is granted."""
BEGUN = "a trial began"
PROMOTED = "a trial ended: promoted"
GONE_BACK = "a trial ended: gone back"
LAPSED = "a trial was over, and nobody had promoted it"


def removed(
    project: str, function: str, version: int, by: Actor, *, alone: bool, idle: bool
) -> FunctionRemoved:
    """Return that a function is gone; one version of it where `version` is not 0."""
    return FunctionRemoved(**_about(project, function, version, by), alone=alone, idle=idle)


def moved(alias: Alias, by: Actor, why: str = "") -> AliasMoved:
    """Return that an alias leads somewhere else."""
    targets = tuple((target.version, target.weight) for target in alias.targets)
    # Of one that leads to several versions they are all in `targets`.
    version = targets[0][0] if len(targets) == 1 else 0
    about = _about(alias.project, alias.function, version, by)
    until = 0.0 if alias.trial is None else alias.trial.until
    return AliasMoved(**about, alias=alias.name, targets=targets, why=why, until=until)


def quarantined(wanted: QuarantineFunction, by: Actor) -> FunctionQuarantined:
    """Return that a function takes no calls any more."""
    about = _about(wanted.project, wanted.function, 0, by)
    return FunctionQuarantined(**about, reason=wanted.reason, killed=wanted.kill)


def released(wanted: ReleaseFunction, by: Actor) -> FunctionReleased:
    """Return that a function takes calls again."""
    about = _about(wanted.project, wanted.function, 0, by)
    return FunctionReleased(**about, reason=wanted.reason)


def deployed(
    version: Version, new: NewVersion, by: Actor, approves_alone: ApprovesAlone
) -> Iterator[Fact]:
    """Give that a version is in force, and what it may do that the one before might not."""
    about = _about(version.project, version.function, version.number, by)
    yield VersionDeployed(**about, digest=version.digest)
    if new.approved:
        added = tuple(told(grant) for grant in new.approved)
        alone = approves_alone(version.project, version.function, by)
        yield GrantsApproved(**about, added=added, alone=alone)


def triggers(before: FunctionSpec | None, now: Version, by: Actor) -> Iterator[TriggerChanged]:
    """Give what invokes a function by its version `now`, and did not, or not so, by the one before.

    `before` is None for a function that has had no version.
    """
    old, new = _invoking(before), _invoking(now.spec)
    about = _about(now.project, now.function, now.number, by)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) == new.get(key):
            continue
        change = "removed" if key not in new else "changed" if key in old else "added"
        kind, name = key
        yield TriggerChanged(
            **about,
            trigger=kind,
            change=change,
            name=name,
            when=_times(new.get(key)),
            first=before is None,
        )


def _invoking(spec: FunctionSpec | None) -> Mapping[tuple[str, str], object]:
    if spec is None:
        return {}
    found: dict[tuple[str, str], object] = {
        (kind_of(trigger).value, trigger.name): trigger for trigger in spec.triggers
    }
    found |= {("http", f"{route.method} {route.path}"): route for route in spec.http}
    return found | ({("public", ""): True} if spec.public else {})


def _times(trigger: object) -> str:
    if not isinstance(trigger, ScheduleTrigger):
        return ""
    return f"{trigger.cron} {trigger.timezone}" if trigger.cron else f"every {trigger.every:g} s"


def _about(project: str, function: str, version: int, by: Actor) -> dict[str, Any]:
    return {
        "at": time.time(),
        "by": by.principal,
        "remote_address": by.remote_address,
        "project": project,
        "function": function,
        "version": version,
    }
