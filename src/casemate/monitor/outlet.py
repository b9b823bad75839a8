"""One channel: what waits for it, how much it is sent at once, and what becomes of what it refuses.

Each has its own queue, its own bounds and its own task: one that hangs delays no other.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from math import inf
from random import SystemRandom

import msgspec

from casemate.child.restart import pause_after
from casemate.detection import Since
from casemate.metrics.figures import Timed
from casemate.model.errors import CasemateError
from casemate.model.facts import Fact
from casemate.model.level import Level
from casemate.model.response_facts import AlertFailed, AlertSent
from casemate.monitor.escalating import (
    DAY,
    seconds_alone,
    seconds_of_night,
    waits_for_morning,
)
from casemate.monitor.findings import LEVELS, Found, at_least
from casemate.monitor.messages import MAX_IDS, Kind, Message, plain
from casemate.monitor.settings import Channel
from casemate.monitor.shares import Share, first_of_fullest, share_of_finding
from casemate.operations.findings import AlertChannel

MAX_WAITING = 1024
MAX_FOLDED = 4096
"""Rules and entities, the newest, of which is known when they were told last."""
ALIKE_SECONDS = 60.0
"""Findings of nodes within as long are told once, though none of one node would be folded."""
RULE_PER_MINUTE = 6
"""Messages of one rule; beyond that all that waits of it goes in one."""
ATTEMPT_SECONDS = 10.0
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
MAX_ATTEMPTS = 300
"""With the pauses between them about a day."""
_MINUTE = 60.0
_MAX_PROBLEM = 200

PAGED = "paged"
"""What somebody is told on demand, in place of a rule's name."""

Send = Callable[[Message], Awaitable[None]]
"""Delivers a message, or raises."""

_draw = SystemRandom().random
_log = logging.getLogger("casemate.monitor")


class Waiting(msgspec.Struct):
    """An alert that was not taken yet."""

    found: Found
    attempts: int = 0
    due: float = 0.0
    """By the loop's clock; not before, nor while it is night."""
    latest: float = inf
    """By the loop's clock: no night is waited for any longer."""

    def wakes(self, now: float) -> bool:
        """Tell whether it is told also at night."""
        return now >= self.latest or not waits_for_morning(self.found)


def _share(waiting: Waiting) -> Share:
    return share_of_finding(waiting.found)


class Remembered(msgspec.Struct, frozen=True):
    """What a channel goes on with."""

    waiting: list[tuple[Found, int]]
    """With the attempts that were made."""
    folded: list[tuple[str, str, float, int]]
    """Rule, entity, when it was told, and how often it has been found since."""
    sent: int
    failed: int
    dropped: int


class Outlet:
    """A channel and what waits for it."""

    def __init__(
        self,
        name: str,
        settings: Channel,
        send: Send,
        *,
        node: str,
        tell: Callable[[Fact], None],
    ) -> None:
        """Send by `send`; what becomes of alerts is told to `tell`."""
        self.name = name
        self.settings = settings
        self._send = send
        self._node = node
        self._tell = tell
        self.changed: Callable[[], None] = _nothing
        """Told that there is something new to remember."""
        self.acknowledged: Callable[[str], bool] = _nobody_has
        """Whether somebody works on the incident that a finding is of."""
        self._waiting: OrderedDict[str, Waiting] = OrderedDict()
        self._folded: OrderedDict[tuple[str, str], list[float]] = OrderedDict()
        self._sent_at: deque[float] = deque()
        self._rule_sent_at: defaultdict[str, deque[float]] = defaultdict(deque)
        self._work = asyncio.Event()
        self._failures = 0
        self._due = 0.0
        self.sent = self.failed = self.dropped = self.folded = self.silenced = 0
        self.folded_at = 0.0
        """Unix time of the last finding that was folded."""
        self.problem = ""
        self.took = Timed()
        """How long it was from what happened to the alert."""

    # -- what is to be told ------------------------------------------------------------------------

    def put(self, found: Found, wait: float = 0.0) -> None:
        """Tell of a finding, unless it is not grave enough or was just told of.

        Not before `wait` seconds from now: another node may tell it first.
        """
        if not at_least(found.level, self.settings.level) or found.id in self._waiting:
            return
        key = (found.rule, found.entity)
        told = self._folded.get(key)
        if told is not None and abs(found.at - told[0]) < self.settings.fold:
            told[1] += found.count
            self.folded += 1
            self.folded_at = found.at
            return
        if told is not None and told[1]:
            found = msgspec.structs.replace(found, count=found.count + int(told[1]))
        self._enqueue(found, key, self._due_of(found) + wait)

    def tell_again(self, found: Found | None = None) -> None:
        """Fold no more what is like a finding, or nothing at all, into what was told before."""
        keys = list(self._folded) if found is None else [(found.rule, found.entity)]
        for key in keys:
            if (told := self._folded.get(key)) is not None:
                told[0] = -inf

    def page(self, found: Found) -> None:
        """Tell of something at once: no hours are quiet, and nobody is waited for."""
        key = (found.rule, found.entity)
        if found.id not in self._waiting and key not in self._folded:
            self._enqueue(found, key, asyncio.get_running_loop().time())

    def _enqueue(self, found: Found, key: tuple[str, str], due: float) -> None:
        self._folded[key] = [found.at, 0]
        self._folded.move_to_end(key)
        if len(self._folded) > MAX_FOLDED:
            self._folded.popitem(last=False)
        self._waiting[found.id] = Waiting(found, due=due, latest=due + DAY)
        if len(self._waiting) > MAX_WAITING:
            self._drop()
        self._work.set()

    def _due_of(self, found: Found) -> float:
        now = asyncio.get_running_loop().time()
        if found.rule == PAGED:
            return now
        return now + seconds_alone(self.settings, found, time.time())

    def _acknowledge(self, now: float) -> None:
        """Drop what somebody has taken before it was this channel's turn."""
        if self.settings.after:
            due = [id for id, each in self._waiting.items() if each.due <= now]
            self.settle([id for id in due if self.acknowledged(id)])

    def _drop(self) -> None:
        """Make room: of the project that has most, the oldest of the least grave goes."""
        counts = Counter(map(_share, self._waiting.values()))
        share = _share(first_of_fullest(self._waiting.values(), counts, _share))
        among = (each for each in self._waiting.values() if _share(each) == share)
        least = min(among, key=lambda each: LEVELS.index(each.found.level))
        self._give_up([least.found.id], "more alerts wait than there is room for")
        self.dropped += 1

    def settle(self, ids: Iterable[str]) -> None:
        """Drop what the journal says was told, or was given up."""
        for id in ids:
            self._waiting.pop(id, None)

    def settle_closed(self, is_closed: Callable[[str], bool]) -> None:
        """Drop what somebody has looked at and closed before this channel could tell it."""
        self.settle([id for id in self._waiting if is_closed(id)])

    def settle_alike(self, found: Found) -> None:
        """Drop what another node has told: a finding, and those of the same rule and entity."""
        key = found.rule, found.entity
        alike = [
            id
            for id, each in self._waiting.items()
            if (each.found.rule, each.found.entity) == key
            and abs(each.found.at - found.at) < max(self.settings.fold, ALIKE_SECONDS)
        ]
        self.settle([found.id, *alike])
        self._folded[key] = [found.at, 0]
        if len(self._folded) > MAX_FOLDED:
            self._folded.popitem(last=False)
        self.changed()

    def replace(self, anew: Found, known: Found) -> None:
        """Know an alert that waits by the id under which it may have been told already."""
        waiting = self._waiting.pop(anew.id, None)
        if waiting is not None:
            self._waiting[known.id] = msgspec.structs.replace(waiting, found=known)

    # -- telling it --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send what waits, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            ids, pause = self._next(loop.time())
            if ids:
                await self._attempt(ids)
                continue
            self._work.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._work.wait()
            except TimeoutError:
                pass

    def _next(self, now: float) -> tuple[list[str], float | None]:
        """Return what is to be sent now, or how long to wait; None: until there is something."""
        if not self._waiting:
            return [], None
        self._acknowledge(now)
        _forget(self._sent_at, now)
        if now < self._due:
            return [], self._due - now
        if len(self._sent_at) >= self.settings.per_minute:
            return [], self._sent_at[0] + _MINUTE - now
        best: Waiting | None = None
        # A minute at the most: a clock that is set may end a night, or begin one.
        soonest, night = now + _MINUTE, seconds_of_night(self.settings, time.time())
        ready = {i: e for i, e in self._waiting.items() if not night or e.wakes(now)}
        if len(ready) < len(self._waiting):
            soonest = min(soonest, now + night)
        for each in ready.values():
            due = max(each.due, self._free_at(each.found.rule, now))
            if due > now:
                soonest = min(soonest, due)
            elif best is None or LEVELS.index(each.found.level) > LEVELS.index(best.found.level):
                best = each
        if best is None:
            return [], soonest - now
        rule = best.found.rule
        # No sooner than their own turn: somebody may take them, or the night be over.
        alike = [i for i, one in ready.items() if one.found.rule == rule and one.due <= now]
        return (alike[:MAX_IDS] if len(alike) > RULE_PER_MINUTE else [best.found.id]), None

    def _free_at(self, rule: str, now: float) -> float:
        """Return from when on a message of a rule may be sent."""
        times = self._rule_sent_at.get(rule)
        if times is None:
            return now
        _forget(times, now)
        if not times:
            del self._rule_sent_at[rule]
        return times[0] + _MINUTE if len(times) >= RULE_PER_MINUTE else now

    async def _attempt(self, ids: list[str]) -> None:
        tried = [self._waiting[id] for id in ids]
        found = tuple(each.found for each in tried)
        message = Message(kind=Kind.FINDING, node=self._node, at=found[-1].at, found=found)
        problem = await self.deliver(message)
        now = asyncio.get_running_loop().time()
        self._sent_at.append(now)
        self._rule_sent_at[found[0].rule].append(now)
        if not problem:
            self._failures = 0
            self.settle(ids)
            for told in found:
                # Clocks jump: what is told before it happened was told at once.
                self.took.add(max(0.0, time.time() - told.at))
            self._tell(AlertSent(at=time.time(), channel=self.name, findings=tuple(ids)))
        else:
            self._failures += 1
            self._due = now + pause_after(self._failures, FIRST_PAUSE, LONGEST_PAUSE, _draw())
            for each in tried:
                each.attempts += 1
                each.due = now + pause_after(each.attempts, FIRST_PAUSE, LONGEST_PAUSE, _draw())
            self._give_up([e.found.id for e in tried if e.attempts >= MAX_ATTEMPTS], problem)
        self.changed()

    async def deliver(self, message: Message) -> str:
        """Send one message; return why it was not taken, empty if it was."""
        before, problem = self.problem, ""
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                await self._send(message)
        except Exception as error:  # noqa: BLE001 - whatever a channel answers ends no other
            problem = said(error)
        # Not before it is known: one that hangs does not look well while it is tried again.
        self.problem = problem
        if self.problem and not before:
            _log.error("alerts by %s do not arrive: %s", self.name, self.problem)
        elif before and not self.problem:
            _log.info("alerts by %s arrive again", self.name)
        if not self.problem:
            self.sent += len(message.found)
            self.changed()
        return self.problem

    def _give_up(self, ids: list[str], reason: str) -> None:
        if not ids:
            return
        self.failed += len(ids)
        self.settle(ids)
        self._tell(
            AlertFailed(at=time.time(), channel=self.name, findings=tuple(ids), reason=reason)
        )

    # -- how it is ---------------------------------------------------------------------------------

    def state_with(self, since: Mapping[Level, Since]) -> AlertChannel:
        """Return how the channel is, with what came `since` findings that it tells, by level."""
        grave = [one for level, one in since.items() if at_least(level, self.settings.level)]
        return msgspec.structs.replace(
            self.state,
            again=sum(one.events for one in grave),
            folded_at=max((self.folded_at, *(one.latest for one in grave))),
        )

    @property
    def state(self) -> AlertChannel:
        """Return how the channel is."""
        return AlertChannel(
            name=self.name,
            kind=type(self.settings).__name__.lower(),
            server=self.settings.target.text,
            level=str(self.settings.level),
            waiting=len(self._waiting),
            sent=self.sent,
            failed=self.failed,
            dropped=self.dropped,
            folded=self.folded,
            silenced=self.silenced,
            problem=self.problem,
            on_call=self.settings.on_call or "",
            person=self.settings.person or "",
        )

    def remembered(self) -> Remembered:
        """Return what it goes on with after a kill."""
        return Remembered(
            [(each.found, each.attempts) for each in self._waiting.values()],
            [(*key, at, int(count)) for key, (at, count) in self._folded.items()],
            self.sent,
            self.failed,
            self.dropped,
        )

    def recall(self, found: Remembered) -> None:
        """Go on from what was remembered."""
        for each, attempts in found.waiting[:MAX_WAITING]:
            due = self._due_of(each)
            self._waiting[each.id] = Waiting(each, attempts, due, due + DAY)
        for rule, entity, at, count in found.folded[-MAX_FOLDED:]:
            self._folded[rule, entity] = [at, count]
        self.sent, self.failed, self.dropped = found.sent, found.failed, found.dropped


def said(error: Exception) -> str:
    """Return why something did not arrive, on one line and bounded."""
    match error:
        case TimeoutError():
            return f"It was not taken within {ATTEMPT_SECONDS:g} s."
        case CasemateError():
            return plain(str(error), _MAX_PROBLEM)
        case ssl.SSLCertVerificationError():
            why = f"Its certificate is not trusted: {error.verify_message}."
            return plain(f"{why} Next: Name who signs for it: ca = FILE", _MAX_PROBLEM)
        case ssl.SSLError(reason="WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE"):
            next_step = "Name a port that does, or for mail give starttls = true."
            return f"What answers there does not begin with TLS. Next: {next_step}"
        case OSError() | EOFError() | ValueError():
            return plain(f"{type(error).__name__}: {error}", _MAX_PROBLEM)
        case _:
            return f"a fault in this channel: {type(error).__name__}"


def _nobody_has(_finding: str) -> bool:
    """Know of nobody who works on anything."""
    return False


def _nothing() -> None:
    """Do nothing."""


def _forget(times: deque[float], now: float) -> None:
    while times and times[0] <= now - _MINUTE:
        times.popleft()
