"""Histories of concurrent calls, and whether any order of them explains what was answered.

A history is right if each call can be given one moment between its beginning and its end at which
it happened, so that the answers are those of a plain register or queue (linearizability: Herlihy
and Wing 1990). For registers such an order is searched for, by the algorithm of Wing and Gong
(1993) with the memory of Lowe (2017); for queues of distinct values it is enough to look for four
patterns (Henzinger, Sezgin and Vafeiadis 2013). A call whose answer was lost may have happened at
any moment after it began, or not at all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

LOST = math.inf
"""The end of a call whose answer was lost."""
MOST_STATES = 300_000


class HistoryError(AssertionError):
    """A history that no order explains, or for which too many would have to be tried."""


# -- registers with revisions ----------------------------------------------------------------------


class Put(NamedTuple):
    """A write. `revision` is the answer: 0 if its condition did not hold, None if it was lost."""

    began: float
    ended: float
    value: object
    revision: int | None
    condition: int | None = None
    """None: none; 0: that there is no value; n: that this revision is there."""


class Delete(NamedTuple):
    """A deletion. `done` is the answer: False for a condition that did not hold, None if lost."""

    began: float
    ended: float
    done: bool | None
    condition: int | None = None


class Get(NamedTuple):
    """A read, with the value and its revision; a revision of 0 means that there was none."""

    began: float
    ended: float
    value: object
    revision: int


Call = Put | Delete | Get


class _State(NamedTuple):
    value: object = None
    revision: int | None = 0
    """0: there is no value; None: that of a write whose answer was lost."""
    least: int = 0
    """The highest revision that was ever there, as far as is known."""


def _may_hold(state: _State, condition: int | None) -> bool:
    if condition is None:
        return True
    if state.revision is None:
        return condition > state.least
    return condition == state.revision


def _may_fail(state: _State, condition: int | None) -> bool:
    if condition is None:
        return False
    return state.revision is None or condition != state.revision


def _after(state: _State, call: Call) -> _State | None:
    """Return the state after a call with this answer, None if it cannot be its answer here."""
    least = max(state.least, state.revision or 0)
    if isinstance(call, Get):
        if call.revision == 0:
            return state if state.revision == 0 else None
        if state.revision == 0 or state.value != call.value:
            return None
        if state.revision is None:
            known = call.revision > state.least
            return _State(call.value, call.revision, call.revision) if known else None
        return state if state.revision == call.revision else None
    refused = call.revision == 0 if isinstance(call, Put) else call.done is False
    if refused:
        return state if _may_fail(state, call.condition) else None
    if not _may_hold(state, call.condition):
        return None
    if isinstance(call, Delete):
        return _State(None, 0, max(least, call.condition or 0))
    if call.revision is None:
        return _State(call.value, None, max(least, call.condition or 0))
    return _State(call.value, call.revision, call.revision) if call.revision > least else None


def require_register(calls: Iterable[Call], most_states: int = MOST_STATES) -> None:
    """Demand that calls of one key are those of a register whose revisions only rise.

    Raises HistoryError, also where more than `most_states` would have to be looked at.
    """
    ordered = sorted(calls, key=lambda call: call.began)
    needed = sum(1 << n for n, call in enumerate(ordered) if call.ended != LOST)
    seen: set[tuple[int, _State]] = set()
    waiting: list[tuple[int, _State]] = [(0, _State())]
    while waiting:
        done, state = waiting.pop()
        if done & needed == needed:
            return
        if (done, state) in seen:
            continue
        seen.add((done, state))
        if len(seen) > most_states:
            raise HistoryError(f"{len(ordered)} calls overlap too much to be judged")
        # What began after another one had ended comes after it.
        latest = LOST
        for number, call in enumerate(ordered):
            if done >> number & 1:
                continue
            if call.began > latest:
                break
            latest = min(latest, call.ended)
            after = _after(state, call)
            if after is not None:
                waiting.append((done | 1 << number, after))
    raise HistoryError("no order explains " + "; ".join(map(str, ordered[:40])))


# -- queues of distinct values ---------------------------------------------------------------------


class Sent(NamedTuple):
    """A value that was put into a queue."""

    began: float
    ended: float
    value: object


class Taken(NamedTuple):
    """A value that was taken out of it."""

    began: float
    ended: float
    value: object


class Empty(NamedTuple):
    """That nothing was found to be taken."""

    began: float
    ended: float


def require_queue(
    sent: Sequence[Sent], taken: Sequence[Taken], empty: Sequence[Empty] = ()
) -> None:
    """Demand that calls are those of one queue: nothing made up, twice, lost, or overtaken.

    What is still in it at the end may be taken never; so the end is when nothing is to come any
    more. Raises HistoryError.
    """
    puts = {one.value: one for one in sent}
    takes = {one.value: one for one in taken}
    if len(puts) != len(sent):
        raise HistoryError("the values are not distinct")
    for one in taken:
        if one.value not in puts or one.ended < puts[one.value].began:
            raise HistoryError(f"{one.value!r} was taken before anybody had sent it")
        if takes[one.value] is not one:
            raise HistoryError(f"{one.value!r} was taken twice")
    _require_order(sent, puts, takes)
    _require_none_overlooked(sent, takes, empty)


def _require_order(
    sent: Sequence[Sent], puts: dict[object, Sent], takes: dict[object, Taken]
) -> None:
    """Demand that nothing overtook what had been sent, and acknowledged, before it was sent."""
    by_end = sorted((one for one in sent if one.ended != LOST), key=lambda one: one.ended)
    by_begin = sorted(takes.values(), key=lambda one: puts[one.value].began)
    # Of those sent before: the one that was taken the latest, if it was at all.
    latest: tuple[float, object] = (-1.0, None)
    number = 0
    for one in by_begin:
        while number < len(by_end) and by_end[number].ended < puts[one.value].began:
            earlier = by_end[number]
            number += 1
            found = takes.get(earlier.value)
            latest = max(
                latest,
                (LOST if found is None else found.began, earlier.value),
                key=lambda each: each[0],
            )
        if one.ended < latest[0]:
            raise HistoryError(f"{one.value!r} has overtaken {latest[1]!r}")


def _require_none_overlooked(
    sent: Sequence[Sent], takes: dict[object, Taken], empty: Sequence[Empty]
) -> None:
    """Demand that whoever found nothing did so at a moment at which there may have been nothing."""
    there = sorted(
        (one.ended, takes[one.value].began if one.value in takes else LOST)
        for one in sent
        if one.ended != LOST
    )
    for one in empty:
        at = one.began
        for begin, end in there:
            if begin > at:
                break
            at = max(at, end)
        if at > one.ended:
            raise HistoryError(f"nothing was found from {one.began} to {one.ended}, where some was")


# -- queues whose messages are leased and settled --------------------------------------------------


class Attempt(NamedTuple):
    """One message that was leased, and how settling it as done was answered."""

    value: object
    leased: float
    """When whoever took it was told that it has it."""
    began: float
    ended: float
    """Of settling it."""
    done: bool | None
    """False: it was somebody else's by then; None: the answer was lost."""


def lost_of(
    sent: Iterable[Sent], attempts: Iterable[Attempt], left: Collection[object] = ()
) -> list[object]:
    """Return what was acknowledged, cannot have been settled, and is not `left` in the queue."""
    settled = {one.value for one in attempts if one.done is not False}
    return [
        one.value
        for one in sent
        if one.ended != LOST and one.value not in settled and one.value not in left
    ]


def require_leases(
    sent: Sequence[Sent], attempts: Sequence[Attempt], left: Collection[object] = ()
) -> None:
    """Demand that messages of one key were settled once each, in order, and held one at a time.

    `left` is what is in the queue in the end. Raises HistoryError, also for what is lost.
    """
    for value in lost_of(sent, attempts, left):
        raise HistoryError(f"{value!r} was acknowledged and is not there any more")
    for one in attempts:
        if one.done and one.value in left:
            raise HistoryError(f"{one.value!r} was settled and is there again")
    if not {one.value for one in sent}.issuperset(left):
        raise HistoryError("what is left was never sent")
    certain = sorted((one for one in attempts if one.done), key=lambda one: one.leased)
    if len({one.value for one in certain}) != len(certain):
        raise HistoryError("a message was settled twice")
    for one, other in itertools.pairwise(certain):
        # It was held at least from the answer to the lease until settling began.
        if other.leased < one.began:
            raise HistoryError(f"{one.value!r} and {other.value!r} were held at once")
    taken = {one.value: Taken(one.began, one.ended, one.value) for one in certain}
    for one in sorted(attempts, key=lambda one: one.began):
        if one.done is None and one.value not in taken and one.value not in left:
            taken[one.value] = Taken(one.began, LOST, one.value)
    require_queue(sent, list(taken.values()))
