"""One attempt at a batch: run it, judge how it ended, have the ends kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from casemate.data.interface import Fate, Message, Settlement
from casemate.delivery.backoff import refusal_pause, retry_pause
from casemate.delivery.destinations import Waiting, ends
from casemate.delivery.leased import Batch, Leased, Place, invocation_of
from casemate.delivery.settling import Settler
from casemate.delivery.verdict import (
    DONE,
    NOTHING_RAN,
    Verdict,
    body_of,
    content_type_of,
    failed,
    failed_items,
    is_done,
    judge,
    worn_out,
)
from casemate.dispatch.pool import PATIENT_SECONDS
from casemate.model.deployment import Version
from casemate.model.function import FunctionSpec
from casemate.model.invocation import Outcome
from casemate.model.path import RawInvocation, Sealed

Run = Callable[[RawInvocation], Awaitable[Sealed]]
_START_SECONDS = 20.0
"""What a cold start may take besides the function's own timeout; see `dispatch.pool`."""
_SPARE_SECONDS = 30.0
_LONGEST_LEASE = 12 * 3600.0


def run_seconds(spec: FunctionSpec) -> float:
    """Return how long one invocation may take, start and queue included."""
    limits = spec.limits
    queued = max(limits.queue_time, PATIENT_SECONDS)
    return limits.timeout + queued + 2 * max(limits.timeout, _START_SECONDS / 2)


def lease_seconds(spec: FunctionSpec) -> float:
    """Return for how long to lease: longer than a batch waits, and then runs."""
    window = max((float(getattr(trigger, "window", 0.0)) for trigger in spec.triggers), default=0.0)
    return min(2 * run_seconds(spec) + window + _SPARE_SECONDS, _LONGEST_LEASE)


def give_back(message: Message) -> Settlement:
    """Return the end of an attempt that did not begin: it can be leased again at once."""
    return Settlement(
        id=message.id,
        fence=message.fence,
        attempt=message.attempts,
        fate=Fate.RETRY,
        counted=False,
    )


class Attempts:
    """Runs batches."""

    def __init__(
        self,
        run: Run,
        settler: Settler,
        draw: Callable[[], float],
        due: Callable[[Place, float], None],
        refused: Callable[[Leased, Version, str, float], str],
        clock: Callable[[], float] = time.time,
        ages: Callable[[], float] | None = None,
    ) -> None:
        """`draw` returns a number in [0, 1); `due` is told when an event is tried again.

        `refused` is `Keepers.refusal`. `clock` is that of the data (`Coordination.clock`): by it
        messages were kept, and are due again.
        `ages` is the time by which they are too old, without it that.
        """
        self._run = run
        self._settler = settler
        self._draw = draw
        self._due = due
        self._refused = refused
        self._clock = clock
        self._ages = ages or clock

    async def run(self, batch: Batch, version: Version, waiting: Sequence[Waiting]) -> float | None:
        """Run a batch and have its ends kept.

        Returns None, or how many seconds to wait with it because the node had no instance.
        """
        self._sort_out(batch, version, waiting)
        if not batch.messages:
            return None
        still = partial(self._are_still, batch, version, waiting)
        sealed = await self._run(invocation_of(batch, version, time.time(), still))
        batch.ran = sealed.outcome is Outcome.OK
        if sealed.outcome is Outcome.INVALID and len(batch.messages) > 1:
            await self._run_halves(batch, version, waiting)
            return None
        if sealed.outcome in NOTHING_RAN:
            batch.refusals += 1
            return refusal_pause(batch.refusals, sealed.retry_after)
        if not batch.is_list and is_done(sealed):
            for leased in batch.messages:
                self._end(leased, DONE, sealed, version, waiting, is_list=False)
            return None
        for leased, verdict in self._verdicts(batch, sealed, version, self._ages()):
            self._end(leased, verdict, sealed, version, waiting, batch.is_list)
        return None

    def _are_still(self, batch: Batch, version: Version, waiting: Sequence[Waiting]) -> bool:
        """Tell whether all of a batch, which has waited, is to be run; give up what is not."""
        now, kept = self._clock(), []
        for leased in batch.messages:
            if reason := self._refused(leased, version, batch.qualifier, now):
                verdict = Verdict(fate=Fate.DEAD, reason=reason)
                self._end(leased, verdict, None, version, waiting, batch.is_list)
            else:
                kept.append(leased)
        all_are = len(kept) == len(batch.messages)
        batch.messages = kept
        return all_are

    async def _run_halves(self, batch: Batch, version: Version, waiting: Sequence[Waiting]) -> None:
        """Run a batch again in two: an event that breaks its contract must not take others along.

        Nothing of the function ran yet. It ends with the leases at the latest: what is left then
        is given back.
        """
        middle = len(batch.messages) // 2
        for messages in (batch.messages[:middle], batch.messages[middle:]):
            half = Batch(
                place=batch.place,
                trigger=batch.trigger,
                qualifier=batch.qualifier,
                messages=messages,
                is_list=batch.is_list,
            )
            pause = await self.run(half, version, waiting)
            while pause is not None:
                await asyncio.sleep(pause)
                pause = await self.run(half, version, waiting)

    def _sort_out(self, batch: Batch, version: Version, waiting: Sequence[Waiting]) -> None:
        """Leave in a batch what is to be run now; all else is given up or given back."""
        delivery, now = version.spec.delivery, self._clock()
        latest = asyncio.get_running_loop().time() + run_seconds(version.spec)
        kept = []
        for leased in batch.messages:
            # That time is at most the clock's, which costs less to read.
            reason = worn_out(leased.message, delivery, now)
            if reason:
                reason = worn_out(leased.message, delivery, self._ages())
            if leased.event is None:
                reason = "not an event"
            elif not reason:
                reason = self._refused(leased, version, batch.qualifier, now)
            if reason:
                verdict = Verdict(fate=Fate.DEAD, reason=reason)
                self._end(leased, verdict, None, version, waiting, batch.is_list)
            elif leased.until < latest:
                # Somebody else could get it while it runs here.
                self._settler.add(leased.place, (give_back(leased.message),))
                self._due(leased.place, now)
            else:
                kept.append(leased)
        batch.messages = kept

    @staticmethod
    def _verdicts(
        batch: Batch, sealed: Sealed, version: Version, now: float
    ) -> list[tuple[Leased, Verdict]]:
        delivery = version.spec.delivery
        reported: set[str] | None = set()
        if batch.is_list and sealed.outcome is Outcome.OK:
            ids = {leased.event.id for leased in batch.messages if leased.event is not None}
            reported = failed_items(sealed.response, ids)
        found = []
        for leased in batch.messages:
            verdict = judge(sealed, leased.message, delivery, now)
            if reported is None:
                reason = "the report of failed items cannot be understood"
                verdict = failed(reason, leased.message, delivery, now)
            elif leased.event is not None and leased.event.id in reported:
                verdict = failed("reported as failed", leased.message, delivery, now)
            found.append((leased, verdict))
        return found

    def _end(
        self,
        leased: Leased,
        verdict: Verdict,
        sealed: Sealed | None,
        version: Version,
        waiting: Sequence[Waiting],
        is_list: bool,
    ) -> None:
        message, delivery = leased.message, version.spec.delivery
        again_at, now = 0.0, self._clock()
        if verdict.fate is Fate.RETRY:
            again_at = now + retry_pause(delivery, message.attempts, self._draw())
            self._due(leased.place, again_at)
        told = None if is_list else sealed
        result, content_type = None, ""
        if told is not None and told.outcome is Outcome.OK:
            result, content_type = body_of(told.response), content_type_of(told.response)
        self._settler.add(
            leased.place,
            (
                Settlement(
                    id=message.id,
                    fence=message.fence,
                    attempt=message.attempts,
                    fate=verdict.fate,
                    again_at=again_at,
                    reason=verdict.reason,
                    error_id=sealed.error_id if sealed is not None else "",
                    status=sealed.response.status if sealed is not None else None,
                    result=result,
                    content_type=content_type,
                    sends=ends(
                        version.function,
                        leased,
                        verdict,
                        told,
                        delivery,
                        waiting,
                        now,
                        sealed,
                    ),
                ),
            ),
            soon=bool(message.key),
        )
