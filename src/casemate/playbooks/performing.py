"""One run, from its plan to its end: each action begun on record, done, and its end on record.

What was begun and not ended when the gateway died is done again: it comes to the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from casemate.facts import FactStream
from casemate.model.errors import CasemateError, ConflictError
from casemate.model.facts import Actor
from casemate.model.playbook import Playbook, PlaybookAct, PlaybookAction, PlaybookRun, Step
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.response_facts import PlaybookStep
from casemate.model.still import asked_besides, require_still
from casemate.operations.incidents import Noticed
from casemate.playbooks.acting import Acting, need_of
from casemate.playbooks.kept import Runs
from casemate.playbooks.matching import kind_of
from casemate.playbooks.targets import place_of
from casemate.policy.interface import Policy

MAX_REASON = 400
AGAIN_SECONDS = (1.0, 3.0, 10.0, 20.0)
"""Pauses before what could not be done at that moment is tried again: a process starts anew."""
_log = logging.getLogger(__name__)


class Performing:
    """Does what a run says, and takes it back."""

    def __init__(
        self,
        runs: Runs,
        acting: Acting,
        policy: Policy,
        facts: FactStream,
        durable: Callable[[], Awaitable[None]],
    ) -> None:
        """Keep how far each is in `runs`; `durable` waits until what was told is on record."""
        self._runs = runs
        self._acting = acting
        self._policy = policy
        self._facts = facts
        self._durable = durable

    async def perform(self, run: PlaybookRun, playbook: Playbook) -> PlaybookRun:
        """Do what is left of a run; an action that fails keeps no other from being done.

        What cannot be done at the moment is tried again after all others. Before each it is
        decided whether whoever has it done still may. Raises StoreError where it cannot be kept
        how far it is: nothing is done then.
        """
        actions = {kind_of(action): action for action in playbook.actions}
        for pause in (0.0, *AGAIN_SECONDS):
            left = [n for n, act in enumerate(run.acts) if act.state in (Step.PLANNED, Step.BEGINS)]
            if not left:
                break
            await asyncio.sleep(pause)
            last = pause == AGAIN_SECONDS[-1]
            for number in left:
                run = await self._one(run, number, run.acts[number], actions, last=last)
        failed = any(act.state is Step.FAILED for act in run.acts)
        run = replace(run, state=Step.FAILED if failed else Step.DONE)
        await self._runs.put(run)
        return run

    async def _one(
        self,
        run: PlaybookRun,
        number: int,
        act: PlaybookAct,
        actions: dict[str, PlaybookAction],
        *,
        last: bool,
    ) -> PlaybookRun:
        by = Principal(kind=PrincipalKind.PLAYBOOK, id=run.playbook)

        def allowed() -> None:
            """Asked whenever something was waited for: policy may forbid what the file says."""
            need = need_of(act.do, act.target)
            if not self._policy.allows(by, need.action, need.resource, granted=True):
                raise ConflictError(f"{by.text} may not {need.action.value} {need.resource.text}.")

        try:
            with asked_besides(allowed):
                require_still()
                action = actions.get(act.do)
                if action is None:
                    raise ConflictError(f"{by.text} has no action {act.do}.")
                if act.state is Step.PLANNED:
                    found = await self._acting.prepare(action, act.target, run.id)
                    act = replace(
                        act, state=Step.BEGINS, before=found.before, undo=found.undo, at=_now()
                    )
                    run = await self._note(run, number, act, Step.BEGINS)
                    await self._durable()
                require_still()
                reason = f"playbook {run.playbook}, finding {run.finding} ({run.rule})"
                before = await self._acting.do(
                    action, act.target, run.id, act.before, reason[:MAX_REASON], by
                )
            act = replace(act, state=Step.DONE, before=before, problem="")
        except CasemateError as error:
            if error.retryable and not last:
                _log.warning("%s of %s is tried again: %s", act.do, run.id, error.message)
                return await self._keep(run, number, act)
            act = replace(act, state=Step.FAILED, problem=error.message[:MAX_REASON], at=_now())
        except Exception as error:  # noqa: BLE001 - logged, and told as failed
            _log.exception("%s of %s failed", act.do, run.id)
            act = replace(act, state=Step.FAILED, problem=type(error).__name__, at=_now())
        return await self._note(run, number, act, act.state)

    async def undo(
        self,
        run: PlaybookRun,
        only: str | None,
        reason: str,
        by: Actor,
    ) -> PlaybookRun:
        """Take back what was done, the last first, or what of it is called `only`.

        Also what failed after it was begun: something of it may be in force. Each is
        decided as in `perform`.
        """
        undone = False
        for number in reversed(range(len(run.acts))):
            act = run.acts[number]
            if not act.may_hold or only not in (None, act.do):
                continue
            try:
                require_still()
                await self._acting.undo(act.do, act.target, run.id, act.before, reason, by)
                act = replace(act, state=Step.UNDONE, problem="", at=_now())
                undone = True
            except CasemateError as error:
                act = replace(act, problem=error.message[:MAX_REASON])
            except Exception as error:  # noqa: BLE001 - logged, and told; the others are taken back
                _log.exception("%s of %s is not taken back", act.do, run.id)
                act = replace(act, problem=type(error).__name__)
            run = await self._note(run, number, act, act.state, by=by, reason=reason)
        if undone and not any(act.may_hold for act in run.acts):
            run = replace(run, state=Step.UNDONE, by=by.principal, reason=reason)
        await self._runs.put(run)
        return run

    async def _note(
        self,
        run: PlaybookRun,
        number: int,
        act: PlaybookAct,
        step: Step,
        *,
        by: Actor | None = None,
        reason: str = "",
    ) -> PlaybookRun:
        """Keep how far an action is, and tell it."""
        run = await self._keep(run, number, act)
        self.tell(run, step, act, by=by, reason=act.problem or reason)
        return run

    async def _keep(self, run: PlaybookRun, number: int, act: PlaybookAct) -> PlaybookRun:
        run = replace(run, acts=(*run.acts[:number], act, *run.acts[number + 1 :]))
        await self._runs.put(run)
        return run

    def tell_passed_over(self, noticed: Noticed, why: str) -> None:
        """Tell that no playbook could look at a finding."""
        found = noticed.finding
        self._facts.happened(
            PlaybookStep(
                at=_now(),
                project=found.project,
                function=found.function,
                playbook="",
                run="",
                incident=noticed.incident,
                finding=found.id,
                step=Step.FAILED.value,
                reason=why,
            )
        )

    def tell(
        self,
        run: PlaybookRun,
        step: Step,
        act: PlaybookAct | None = None,
        *,
        by: Actor | None = None,
        reason: str = "",
    ) -> None:
        """Tell of a step of a run, or of one of its actions."""
        project, function = place_of(act.target) if act is not None else ("", "")
        actor = by or Actor(f"{PrincipalKind.PLAYBOOK.value}:{run.playbook}", "")
        self._facts.happened(
            PlaybookStep(
                at=_now(),
                by=actor.principal,
                remote_address=actor.remote_address,
                project=project or run.project,
                function=function,
                playbook=run.playbook,
                run=run.id,
                incident=run.incident,
                finding=run.finding,
                step=step.value,
                action=act.do if act is not None else "",
                target=act.target if act is not None else "",
                undo=act.undo if act is not None and step is Step.DONE else "",
                reason=reason,
            )
        )


def _now() -> float:
    return time.time()
