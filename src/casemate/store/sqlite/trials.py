"""Trials: a version with a share of the calls until a time, as a state of the alias `live`."""

from __future__ import annotations

from casemate.model.deployment import LIVE, Alias, AliasTarget, Trial, TrialTerms
from casemate.model.errors import ConflictError, NotFoundError
from casemate.operations.performing import DirectPerformers
from casemate.operations.trials import EndTrial, StartTrial
from casemate.sqlite import engine
from casemate.store.sqlite import aliases
from casemate.store.sqlite.clock import now_of

performs = DirectPerformers()


@performs(StartTrial)
def start_trial(connection: engine.Connection, operation: StartTrial) -> Alias:
    """Give a version a share of `live`. Raises NotFoundError, ConflictError."""
    project, function, number = operation.project, operation.function, operation.version
    known = connection.execute(
        "SELECT 1 FROM version WHERE project = ? AND function = ? AND number = ?",
        (project, function, number),
    ).fetchone()
    if known is None:
        raise NotFoundError(
            f"{project}/{function} has no version {number}.",
            next_step="Run casemate show to see the versions there are.",
        )
    return start(connection, project, function, number, operation.terms)


def start(
    connection: engine.Connection, project: str, function: str, number: int, terms: TrialTerms
) -> Alias:
    """Give a version that is there a share of `live`, next to the one that had all of it."""
    live = aliases.one(connection, project, function, LIVE)
    back = _gone_back_to(f"{project}/{function}", live, number)
    targets = (
        AliasTarget(version=back, weight=100 - terms.weight),
        AliasTarget(version=number, weight=terms.weight),
    )
    trial = Trial(version=number, back=back, until=now_of(connection) + terms.seconds)
    return aliases.add_state(connection, project, function, LIVE, targets, trial)


def _gone_back_to(name: str, live: Alias | None, number: int) -> int:
    """Return the version that a trial of another one ends with. Raises ConflictError."""
    if live is None:
        raise ConflictError(
            f"{name} has no version that is live, so there is nothing to go back to.",
            next_step="Deploy it without a share first.",
        )
    if live.trial is not None and live.trial.version == number:
        return live.trial.back
    serving = [target.version for target in live.targets if target.weight > 0]
    if len(serving) > 1:
        raise ConflictError(
            f"{name} is shared between versions {', '.join(map(str, serving))} already.",
            next_step=f"End that first: casemate promote {name} VERSION",
        )
    if serving == [number]:
        raise ConflictError(
            f"All calls of {name} go to version {number} already.",
            next_step=f"Try another one; `casemate show {name}` lists them.",
        )
    return serving[0]


@performs(EndTrial)
def end_trial(connection: engine.Connection, operation: EndTrial) -> Alias:
    """Send all calls to the version of a trial, or back. Raises ConflictError if it is over."""
    project, function = operation.project, operation.function
    live = aliases.one(connection, project, function, LIVE)
    trial = None if live is None else live.trial
    if (
        live is None
        or trial is None
        or (trial.version, live.changed_at) != (operation.version, operation.since)
    ):
        raise ConflictError(
            f"The trial of version {operation.version} of {project}/{function} is over.",
            next_step=f"See where its calls go: casemate show {project}/{function}",
        )
    number = trial.version if operation.promote else trial.back
    targets = (AliasTarget(version=number, weight=100),)
    return aliases.add_state(connection, project, function, LIVE, targets)
