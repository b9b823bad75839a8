"""What playbooks do, each by the operation that a person would use, and how it is taken back.

What was there before is found out first and kept, so that an action that was cut short can be done
again to the same end, and be taken back.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec

from casemate.accounts import Accounts
from casemate.budgets import Budgets
from casemate.model.budget import Budget, BudgetPer, BudgetUnit, Quota
from casemate.model.deployment import LIVE, Alias, DeployedFunction
from casemate.model.deployment import Quarantine as Held
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.facts import Actor
from casemate.model.playbook import (
    BlockCaller,
    EndSessions,
    LimitCalls,
    Page,
    PlaybookAction,
    Quarantine,
    RevokeToken,
    RollBack,
    RotateSecret,
    SealEvidence,
)
from casemate.model.principal import NODE, Action, Principal, Resource, ResourceKind
from casemate.operations.functions import SetAlias, Target
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction
from casemate.playbooks.holding_back import HoldingBack
from casemate.playbooks.matching import PRINCIPAL
from casemate.playbooks.paging import Paging
from casemate.playbooks.prepared import Prepared
from casemate.playbooks.rotating import Rotating
from casemate.playbooks.targets import named, place_of
from casemate.restrictions import Restrictions
from casemate.rotations import Rotations

_decode = msgspec.json.decode


class Control(Protocol):
    """What containment needs of the node's control service."""

    async def function(self, project: str, name: str) -> DeployedFunction: ...

    async def quarantine(self, operation: QuarantineFunction, *, by: Actor) -> Held: ...

    async def release(self, operation: ReleaseFunction, *, by: Actor) -> object: ...

    async def stable_before(self, project: str, function: str) -> int: ...

    async def set_alias(self, operation: SetAlias, *, by: Actor) -> Alias: ...


class Evidence(Protocol):
    """Keeps what is on record of an incident."""

    async def seal(self, incident: str, by: Actor) -> str: ...

    async def release(self, id: str, reason: str, by: Actor) -> None: ...


class Need(NamedTuple):
    """A right that an action needs, or its undoing."""

    action: Action
    resource: Resource


class Acting:
    """Does and undoes."""

    def __init__(
        self,
        control: Control,
        accounts: Accounts,
        budgets: Budgets,
        restrictions: Restrictions,
        rotations: Rotations,
        evidence: Evidence,
        paging: Paging,
    ) -> None:
        """Act by these."""
        self._paging = paging
        self._rotating = Rotating(control, rotations)
        self._evidence = evidence
        self._held_back = HoldingBack(control, restrictions)
        self._control = control
        self._accounts = accounts
        self._budgets = budgets

    async def prepare(self, action: PlaybookAction, target: str, run: str) -> Prepared:
        """Return how it will be taken back. Raises CasemateError where it cannot be done."""
        project, name = place_of(target)
        match action:
            case Quarantine():
                found = (await self._control.function(project, name)).quarantine
                undo = f"casemate release {project}/{name} --reason TEXT"
                return Prepared(_json(None if found is None else found.by), undo)
            case RollBack():
                return await self._prepare_roll_back(project, name)
            case RevokeToken():
                token = self._accounts.tokens.one(named(target))
                return Prepared("", f"casemate tokens add {token.name} --role ROLE")
            case EndSessions():
                self._accounts.people.one(named(target))
                return Prepared("", "casemate login")
            case LimitCalls() | BlockCaller():
                of = project or target.partition("@")[2]
                return Prepared("", f"casemate budget rm {of} {run_name(run)}")
            case _:
                return await self._prepare_other(action, target)

    async def _prepare_other(self, action: PlaybookAction, target: str) -> Prepared:
        if isinstance(action, SealEvidence):
            return Prepared("", f"casemate incident evidence {named(target)} --release TEXT")
        if isinstance(action, Page):
            to, _, project = named(target).rpartition("@")
            await self._paging.require(to)
            return Prepared(_json(project), "casemate alert page 'it is over'")
        if isinstance(action, RotateSecret):
            return await self._rotating.prepare(action, *place_of(target))
        return await self._held_back.prepare(action, target)

    async def _prepare_roll_back(self, project: str, name: str) -> Prepared:
        found = await self._control.function(project, name)
        alias = next((one for one in found.aliases if one.name == LIVE), None)
        if alias is None:
            raise ConflictError(f"{project}/{name} has no alias {LIVE}.")
        to = await self._control.stable_before(project, name)
        targets = [(one.version, one.weight) for one in alias.targets]
        if alias.trial is not None:
            # A share that was to end by itself is not brought back as one that stays.
            targets = [(alias.trial.back, 100)]
        newest = max(version for version, _ in targets)
        undo = f"casemate promote {project}/{name} {newest}"
        return Prepared(_json({"to": to, "targets": targets}), undo)

    async def do(
        self,
        action: PlaybookAction,
        target: str,
        run: str,
        before: str,
        reason: str,
        by: Principal,
    ) -> str:
        """Do it; return what was there before. Done once more it comes to the same. CasemateError.

        `before` is what `prepare` has found.
        """
        project, name = place_of(target)
        actor = Actor(by.text, "")
        match action:
            case Quarantine():
                wanted = QuarantineFunction(
                    project=project, function=name, reason=reason, kill=action.kill
                )
                held = await self._control.quarantine(wanted, by=actor)
                if held.by != by.text:
                    return _json(held.by)
            case RollBack():
                await self._point(project, name, [(_decode(before)["to"], 100)], actor)
            case RevokeToken():
                await self._accounts.tokens.revoke(named(target), by=by)
            case EndSessions():
                await self._accounts.people.end_sessions(named(target), by=by)
            case LimitCalls():
                quota = Quota(
                    project=project,
                    name=run_name(run),
                    calls=action.calls,
                    seconds=action.seconds,
                    each=action.each,
                    function=name,
                )
                await self._budgets.set_quota(quota, actor)
            case BlockCaller():
                caller, _, of = target.partition("@")
                budget = Budget(
                    project=of,
                    name=run_name(run),
                    amount=1.0,
                    unit=BudgetUnit.REQUESTS,
                    per=BudgetPer.HOUR,
                    hard=True,
                    caller=caller,
                )
                await self._budgets.set(budget, actor)
            case SealEvidence():
                return _json(await self._evidence.seal(named(target), actor))
            case Page():
                said = " ".join(each for each in (action.message, f"({reason})") if each)
                await self._page(target, said, run, actor)
            case RotateSecret():
                return await self._rotating.do(action, project, before, reason, actor)
            case _:
                return await self._held_back.do(action, target, before, reason, actor)
        return before

    async def undo(
        self, do: str, target: str, run: str, before: str, reason: str, by: Actor
    ) -> None:
        """Take back what was done. Raises ConflictError where that cannot be."""
        project, name = place_of(target)
        match do:
            case "quarantine":
                await self._release(project, name, before, reason, by)
            case "roll-back":
                await self._point_back(project, name, _decode(before), by)
            case "limit-calls" | "block-caller":
                of = project or target.partition("@")[2]
                try:
                    await self._budgets.remove(of, run_name(run), by)
                except NotFoundError:
                    return  # somebody has by hand
            case "freeze-alias" | "cut-egress" | "block-address" | "withhold-secrets":
                await self._held_back.undo(before, reason, by)
            case "page":
                await self._page(target, f"It is over: {reason}", f"{run}-over", by)
            case "rotate-secret":
                await self._rotating.undo(project, before, reason, by)
            case "seal-evidence":
                await self._unseal(target, before, reason, by)
            case "revoke-token":
                raise ConflictError(
                    f"{target} is revoked, which is for ever: a thief would have it again.",
                    next_step="Make another one: casemate tokens add",
                )
            case _:
                raise ConflictError(
                    "Sessions that have ended stay so.", next_step="Log in again: casemate login"
                )

    async def _release(self, project: str, name: str, before: str, reason: str, by: Actor) -> None:
        """Have a function take calls again, unless somebody else has said so before or since."""
        if _decode(before) is not None:
            raise ConflictError(
                f"{project}/{name} was in quarantine before, by {_decode(before)}.",
                next_step=f"Release it: casemate release {project}/{name} --reason TEXT",
            )
        held = (await self._control.function(project, name)).quarantine
        if held is None:
            return  # somebody has by hand, or it was never put there
        if not held.by.startswith(PRINCIPAL):
            raise ConflictError(
                f"{project}/{name} was put into quarantine by {held.by} since.",
                next_step=f"Release it: casemate release {project}/{name} --reason TEXT",
            )
        wanted = ReleaseFunction(project=project, function=name, reason=reason)
        await self._control.release(wanted, by=by)

    async def _unseal(self, target: str, before: str, reason: str, by: Actor) -> None:
        if not before:
            raise ConflictError(
                f"Sealing evidence of {named(target)} failed: none may be kept, or one.",
                next_step=f"Look at it: casemate incident evidence {named(target)} --ls",
            )
        await self._evidence.release(_decode(before), reason, by)

    async def _page(self, target: str, message: str, known_as: str, by: Actor) -> None:
        to, _, project = named(target).rpartition("@")
        await self._paging.page(to, message, by, project=project, known_as=known_as)

    async def _point_back(self, project: str, name: str, before: dict[str, Any], by: Actor) -> None:
        """Point the alias where it was, unless somebody has pointed it elsewhere since."""
        found = await self._control.function(project, name)
        now = [
            (target.version, target.weight)
            for alias in found.aliases
            if alias.name == LIVE
            for target in alias.targets
        ]
        if now == [tuple(target) for target in before["targets"]]:
            return  # somebody has by hand, or it never pointed elsewhere
        if now != [(before["to"], 100)]:
            raise ConflictError(
                f"{LIVE} of {project}/{name} was pointed elsewhere since.",
                next_step=f"If it shall be another one: casemate promote {project}/{name} VERSION",
            )
        await self._point(project, name, before["targets"], by)

    async def _point(self, project: str, name: str, targets: list[Any], by: Actor) -> None:
        wanted = tuple(Target(version=version, weight=weight) for version, weight in targets)
        await self._control.set_alias(
            SetAlias(project=project, function=name, name=LIVE, targets=wanted),
            by=by,
        )


_NEEDS = {
    "quarantine": Action.FUNCTION_QUARANTINE,
    "roll-back": Action.FUNCTION_ALIAS,
    "revoke-token": Action.TOKEN_REVOKE,
    "end-sessions": Action.TOKEN_REVOKE,
    "limit-calls": Action.BUDGET_WRITE,
    "block-caller": Action.BUDGET_WRITE,
    "freeze-alias": Action.RESTRICTION_WRITE,
    "cut-egress": Action.RESTRICTION_WRITE,
    "block-address": Action.RESTRICTION_WRITE,
    "withhold-secrets": Action.RESTRICTION_WRITE,
    "rotate-secret": Action.SECRET_ROTATE,
    "seal-evidence": Action.EVIDENCE_SEAL,
    "page": Action.ALERTS_PAGE,
}


def need_of(do: str, target: str, *, undo: bool = False) -> Need:
    """Return the right that an action needs, or its undoing."""
    action = _NEEDS[do]
    if action is Action.EVIDENCE_SEAL and undo:
        return Need(Action.RECORDINGS_WRITE, NODE)
    if action in (Action.TOKEN_REVOKE, Action.EVIDENCE_SEAL, Action.ALERTS_PAGE):
        return Need(action, NODE)
    project, name = place_of(target)
    if action is Action.RESTRICTION_WRITE and not project:
        project = target.rpartition("@")[2]
        return Need(
            action, Resource(kind=ResourceKind.PROJECT, project=project) if project else NODE
        )
    if action is Action.SECRET_ROTATE:
        return Need(action, Resource(kind=ResourceKind.PROJECT, project=project))
    if action is Action.BUDGET_WRITE:
        project = project or target.partition("@")[2]
        return Need(action, Resource(kind=ResourceKind.PROJECT, project=project))
    if undo and action is Action.FUNCTION_QUARANTINE:
        action = Action.FUNCTION_RELEASE
    return Need(action, Resource(kind=ResourceKind.FUNCTION, project=project, name=name))


def run_name(run: str) -> str:
    """Return a budget's name for what a run has set."""
    return "playbook-" + run.removeprefix("run_")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
