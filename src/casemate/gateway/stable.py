"""Which version a rollback goes back to: the one that was in force for all callers before.

A share of callers is a trial, not a state to go back to; and what was itself taken back is not gone
to again, however often the command is given. Of versions that share the calls the newest is left,
or the one on trial: who has begun to lead callers away from it by hand is not led back to it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from casemate.model.deployment import Alias
from casemate.model.errors import ConflictError


def stable_before(history: Sequence[Alias], existing: Collection[int]) -> int | None:
    """Return the version that had all callers before the one that is left; None without any.

    One that shares the calls now comes first, for whoever chose it passed over others. `history`
    has the states of an alias, newest first; `existing` the versions that there are. Going back to
    a version forgets those that came after it, as a stack does.
    """
    if not history:
        return None
    trail: list[int] = []
    for state in reversed(history):
        serving = [target.version for target in state.targets if target.weight > 0]
        if len(serving) != 1:
            continue
        if serving[0] in trail:
            del trail[trail.index(serving[0]) + 1 :]
        else:
            trail.append(serving[0])
    now = history[0]
    shared = {target.version for target in now.targets if target.weight > 0}
    left = max(shared) if now.trial is None else now.trial.version
    found = [version for version in reversed(trail) if version != left and version in existing]
    return next((version for version in found if version in shared), next(iter(found), None))


def require_stable_before(
    function: str, history: Sequence[Alias], existing: Collection[int]
) -> int:
    """Return the same for the function of this name; ConflictError without any."""
    stable = stable_before(history, existing)
    if stable is None:
        raise ConflictError(
            f"{function} has no earlier version that all callers were sent to.",
            next_step=f"Name one that `casemate show {function}` lists: "
            f"`casemate rollback {function} --to VERSION`"
            if len(existing) > 1
            else "It has one version alone: deploy another one.",
        )
    return stable
