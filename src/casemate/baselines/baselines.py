"""The baselines of a node: fed by what happens, asked before what can be refused is done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

import msgspec

from casemate.baselines import starting
from casemate.baselines.learned import NEVER, Learned, Waiting, power
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.facts import FactStream
from casemate.model.baseline import Aspect, Baseline, OnDeviation
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.facts import (
    BaselineDeviation,
    DecoyTouched,
    Fact,
    FunctionRemoved,
    GrantUsed,
    HostAsked,
    InvocationMeasured,
    ShapesMet,
    SystemCallsMet,
)
from casemate.model.function import BaselineSettings
from casemate.model.grant import Grant
from casemate.model.invocation import Outcome
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.store.interface import Store

LOOK_SECONDS = 10.0
"""How often what was met becomes usual, and is kept."""
ENDS_SECONDS = 0.25
MAX_ENDS = 1024
"""Ends of invocations that wait to be looked at."""
MAX_FUNCTIONS = 20_000
_AT_ONCE = 64
_POISONING = {
    DenialKind.SYSTEM_CALL: Aspect.SYSTEM_CALL,
    DenialKind.INJECTION: Aspect.SINK,
    DenialKind.CAPABILITY: None,
    DenialKind.EGRESS: None,
}
"""Denials of what a function does; and what they deviate by, where no other fact says it."""
_log = logging.getLogger(__name__)

_Key = tuple[str, str]


class _Function:
    """One function's: what is kept, what waits, and what its newest manifest says."""

    __slots__ = ("learned", "settings", "waiting")

    def __init__(self, learned: Learned) -> None:
        self.learned = learned
        self.waiting = Waiting()
        self.settings = BaselineSettings()


class Baselines:
    """One per gateway. Belongs to its event loop. Listening and asking cost a look or two."""

    def __init__(
        self, store: Store, facts: FactStream, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Keep them in `store`; learn from what `facts` tells, and tell deviations to it."""
        self._store = store
        self._facts = facts
        self._clock = clock
        self._functions: dict[_Key, _Function] = {}
        self.on_calls_changed: Callable[[str, str], None] = lambda *_: None
        """Is told of a function whose processes are to ask about other system calls."""
        self._met: set[_Key] = set()
        """Functions of which something was met since they were looked at."""
        self._ends: list[InvocationMeasured] = []
        self._soon_taken: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        facts.listen(GrantUsed, self._on_use)
        facts.listen(HostAsked, self._on_host)
        facts.listen(ShapesMet, self._on_shapes)
        facts.listen(SystemCallsMet, self._on_calls)
        facts.listen(Denial, self._on_denial)
        facts.listen(DecoyTouched, self._on_touch)
        facts.listen(InvocationMeasured, self._on_end)
        facts.listen(FunctionRemoved, self._on_removed)

    async def load(self, functions: Iterable[_Key]) -> None:
        """Read those of these functions."""
        every = sorted(functions)
        for start in range(0, len(every), _AT_ONCE):
            await asyncio.gather(*map(self._load, every[start : start + _AT_ONCE]))

    async def _load(self, key: _Key) -> None:
        value = await self._store.read(ReadNodeValue(name=_name(key)))
        if value:
            try:
                learned = msgspec.json.decode(value, type=decodable(Learned))
            except DECODING_ERRORS as error:
                # What is usual is not known: nothing is refused by it, and that is said.
                _log.error("the baseline of %s/%s starts again: %s", *key, error)
                return
            self._functions[key] = _Function(learned)

    def _of(self, key: _Key) -> _Function | None:
        found = self._functions.get(key)
        if found is None and key[1] and len(self._functions) < MAX_FUNCTIONS:
            found = self._functions[key] = _Function(Learned(since=self._clock()))
        return found

    # -- what is asked before it is done ---------------------------------------------------------

    def admits(self, version: Version, caller: str, invocation: str) -> bool:
        """Tell whether a caller may go on; where not, that was told."""
        found = self._of((version.project, version.function))
        if found is None:
            return True
        if version.number > found.learned.version:
            found.learned.meet(version.number, _texts(version))
            self._look_later((version.project, version.function))
        if version.number >= found.learned.version:
            found.settings = version.spec.baseline
        self._called(version, found, invocation)
        if found.learned.knows(Aspect.CALLER, caller):
            return True
        return self._meets(version, found, Aspect.CALLER, caller, invocation)

    def _called(self, version: Version, found: _Function, invocation: str) -> None:
        """Tell of a function that is called after a long time in which nobody did."""
        days = found.learned.called(self._clock())
        if days is None:
            return
        self._look_later((version.project, version.function))
        if days:
            self._deviates(
                version.project, version.function, version.number, invocation,
                found, Aspect.DORMANT, f"{days} days", refused=False,
            )  # fmt: skip

    def allows(self, version: Version, grant: str, action: str, invocation: str) -> bool:
        """Tell whether a granted use may go on; where not, that was told."""
        if version.spec.baseline.on_deviation is not OnDeviation.REFUSE:
            return True
        found, value = self._of((version.project, version.function)), f"{grant} {action}"
        if found is None or found.learned.knows(Aspect.GRANT, value):
            return True
        return self._meets(version, found, Aspect.GRANT, value, invocation)

    def _meets(
        self, version: Version, found: _Function, aspect: Aspect, value: str, invocation: str
    ) -> bool:
        refuses = version.spec.baseline.on_deviation is OnDeviation.REFUSE
        usual = self._meet((version.project, version.function), found, aspect, value)
        if not usual:
            self._deviates(
                version.project, version.function, version.number, invocation,
                found, aspect, value, refused=refuses,
            )  # fmt: skip
        return usual or not refuses

    # -- what a process is started with ----------------------------------------------------------

    def narrowed(self, version: Version, grants: tuple[Grant, ...]) -> tuple[Grant, ...]:
        """Return grants of egress without what is to be refused."""
        return starting.narrowed(self._learned_of(version), version, grants)

    def shapes(self, version: Version) -> tuple[tuple[str, ...], bool]:
        """Return the ids of shapes that are usual, and whether a version may meet no others."""
        return starting.shapes(self._learned_of(version), version)

    def calls(self, version: Version) -> tuple[tuple[str, ...], bool]:
        """Return about which system calls a version's filter asks, and whether it refuses them."""
        return starting.calls(self._learned_of(version), version)

    def _learned_of(self, version: Version) -> Learned:
        found = self._functions.get((version.project, version.function))
        return Learned(since=0.0) if found is None else found.learned

    # -- what happens ----------------------------------------------------------------------------

    def _on_use(self, use: GrantUsed) -> None:
        found, value = self._of((use.project, use.function)), f"{use.grant} {use.action}"
        if found is not None and not found.learned.knows(Aspect.GRANT, value):
            self._met_of(use, found, Aspect.GRANT, value)

    def _on_host(self, asked: HostAsked) -> None:
        found, value = self._of((asked.project, asked.function)), _target(asked.host, asked.port)
        if found is None or found.learned.knows(Aspect.HOST, value):
            return
        if asked.allowed:
            self._met_of(asked, found, Aspect.HOST, value)
        elif found.learned.locked:
            self._deviation_of(asked, found, Aspect.HOST, value, refused=True)

    def _on_shapes(self, shapes: ShapesMet) -> None:
        found = self._of((shapes.project, shapes.function))
        if found is None:
            return
        for value in shapes.met:
            if not found.learned.knows(Aspect.SHAPE, value):
                self._met_of(shapes, found, Aspect.SHAPE, value)
        for value in shapes.refused:
            self._deviation_of(shapes, found, Aspect.SHAPE, value, refused=True)

    def _on_calls(self, calls: SystemCallsMet) -> None:
        """Take which notable system calls were made; of none, that it is looked at from now on.

        By the version that made them: an import comes before a version's first call.
        """
        found = self._of((calls.project, calls.function))
        if found is None:
            return
        learned = found.learned
        is_open = not learned.locked or calls.version > learned.locked_version
        if is_open and not learned.looked:
            # For as long as anything else that is learned: what was counted so far nobody saw.
            learned.looked, learned.since, learned.calls = True, self._clock(), 0
        for value in calls.met:
            if is_open:
                found.waiting.value(Aspect.SYSTEM_CALL, value)
            elif not learned.knows(Aspect.SYSTEM_CALL, value):
                self._deviation_of(calls, found, Aspect.SYSTEM_CALL, value, refused=False)
        if is_open:
            self._look_later((calls.project, calls.function))

    def _on_denial(self, denial: Denial) -> None:
        if denial.kind not in _POISONING or not denial.function:
            return
        found = self._functions.get((denial.project, denial.function))
        if found is None:
            return
        found.waiting.poisoned = True
        aspect = _POISONING[denial.kind]
        if aspect is not None and found.learned.locked:
            self._deviation_of(denial, found, aspect, denial.action, refused=True)

    def _on_touch(self, touch: DecoyTouched) -> None:
        found = self._functions.get((touch.project, touch.function))
        if found is not None:
            found.waiting.poisoned = True

    def _on_end(self, end: InvocationMeasured) -> None:
        """Remember an end: its answer has not left yet, and nothing of this is in a hurry."""
        self._ends.append(end)
        if len(self._ends) >= MAX_ENDS:
            self._take_ends()
        elif self._soon_taken is None:
            loop = asyncio.get_running_loop()
            self._soon_taken = loop.call_later(ENDS_SECONDS, self._take_ends)

    def _take_ends(self) -> None:
        if self._soon_taken is not None:
            self._soon_taken.cancel()
            self._soon_taken = None
        ends, self._ends = self._ends, []
        for end in ends:
            self._take_end(end)

    def _take_end(self, end: InvocationMeasured) -> None:
        key = (end.project, end.function)
        found = self._functions.get(key)
        if found is None or end.outcome != Outcome.OK:
            return
        found.waiting.calls += 0 if found.learned.locked else 1
        if not found.learned.knows(Aspect.TRIGGER, end.trigger):
            self._met_of(end, found, Aspect.TRIGGER, end.trigger)
        for aspect, value in (
            (Aspect.DURATION, power(end.run_ms)),
            (Aspect.REQUEST, power(end.request_bytes)),
            (Aspect.RESPONSE, power(end.response_bytes)),
        ):
            if not found.learned.locked:
                found.waiting.number(aspect, value)
            elif not found.learned.within(aspect, value):
                self._deviation_of(end, found, aspect, f"2^{value}", refused=False)
        if not found.learned.locked:
            self._look_later(key)

    def _on_removed(self, gone: FunctionRemoved) -> None:
        """Forget a function: another one of its name has nothing in common with it."""
        key = (gone.project, gone.function)
        if not gone.version and self._functions.pop(key, None) is not None:
            self._met.add(key)
            self._soon()

    def _met_of(self, fact: Fact, found: _Function, aspect: Aspect, value: str) -> None:
        if not self._meet((fact.project, fact.function), found, aspect, value):
            self._deviation_of(fact, found, aspect, value, refused=False)

    def _meet(self, key: _Key, found: _Function, aspect: Aspect, value: str) -> bool:
        """Tell whether a value is usual, or may become so."""
        if aspect in NEVER:
            return False
        if found.learned.locked and not found.learned.is_open(aspect, value):
            return False
        found.waiting.value(aspect, value)
        self._look_later(key)
        return True

    def _deviation_of(
        self, fact: Fact, found: _Function, aspect: Aspect, value: str, *, refused: bool
    ) -> None:
        self._deviates(
            fact.project, fact.function, fact.version, fact.invocation,
            found, aspect, value, refused=refused,
        )  # fmt: skip

    def _deviates(
        self,
        project: str,
        function: str,
        version: int,
        invocation: str,
        found: _Function,
        aspect: Aspect,
        value: str,
        *,
        refused: bool,
    ) -> None:
        now = self._clock()
        count = found.waiting.tells(aspect, value, now, refused=refused)
        if count:
            self._facts.happened(
                BaselineDeviation(
                    at=now,
                    by=f"function:{project}/{function}",
                    project=project,
                    function=function,
                    version=version,
                    invocation=invocation,
                    kind=aspect.value,
                    value=value[:256],
                    refused=refused,
                    count=count,
                )
            )

    # -- what becomes usual ----------------------------------------------------------------------

    def _look_later(self, key: _Key) -> None:
        self._met.add(key)
        self._soon()

    def _soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._looking = asyncio.ensure_future(self.look())

    async def look(self) -> None:
        """Have usual what was met, lock what has learned enough, and keep it."""
        self._take_ends()
        met, self._met = self._met, set()
        for key in met:
            found = self._functions.get(key)
            if found is not None:
                before = _calls_of(found)
                found.waiting.take_over(found.learned)
                self._lock_in_time(found)
                if _calls_of(found) != before:
                    self.on_calls_changed(*key)
            await self._keep(key, found)

    def _lock_in_time(self, found: _Function) -> None:
        learned, settings, now = found.learned, found.settings, self._clock()
        if learned.locked or not learned.calls:
            return
        # What begins by a clock that is ahead would be learned for as long as that was.
        learned.since = min(learned.since, now)
        if learned.calls >= settings.calls or now - learned.since >= settings.learn:
            learned.lock(now, "node")

    async def _keep(self, key: _Key, found: _Function | None) -> None:
        try:
            await self._write(key, found)
        except CasemateError as error:
            _log.warning("the baseline of %s/%s waits in memory: %s", *key, error)
            self._met.add(key)

    async def close(self) -> None:
        """Keep what was met."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.look()

    # -- what people ask for ---------------------------------------------------------------------

    def shown(self, project: str, function: str) -> Baseline:
        """Return what is usual of a function. NotFoundError if nothing is known of it."""
        return self._known(project, function).learned.shown(project, function)

    async def lock(self, project: str, function: str, by: str) -> Baseline:
        """Learn nothing more of a function."""
        found = self._known(project, function)
        self._take_ends()
        found.waiting.take_over(found.learned)
        found.learned.lock(self._clock(), by)
        await self._write((project, function), found)
        self.on_calls_changed(project, function)
        return self.shown(project, function)

    async def reset(self, project: str, function: str) -> Baseline:
        """Begin to learn anew."""
        before = self._known(project, function)
        # Its processes are looked at already, or replaced by such as are.
        found = _Function(Learned(since=self._clock(), looked=before.learned.looked))
        found.learned.called_at = before.learned.called_at
        found.settings = before.settings
        found.learned.meet(before.learned.version, before.learned.granted)
        await self._write((project, function), found)
        self._functions[project, function] = found
        self.on_calls_changed(project, function)
        return self.shown(project, function)

    async def _write(self, key: _Key, found: _Function | None) -> None:
        value = b"" if found is None else msgspec.json.encode(found.learned)
        await self._store.change(KeepNodeValue(name=_name(key), value=value))

    def _known(self, project: str, function: str) -> _Function:
        found = self._functions.get((project, function))
        if found is None:
            raise NotFoundError(
                f"Nothing is known yet of {project}/{function}.",
                next_step="Call it, or check the name.",
            )
        return found


def _calls_of(found: _Function) -> tuple[int, bool]:
    """Return what decides about which system calls a function's processes ask."""
    return len(found.learned.sets.get(Aspect.SYSTEM_CALL, ())), found.learned.locked


def _target(host: str, port: int) -> str:
    """Return a destination as grants name it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _texts(version: Version) -> tuple[str, ...]:
    return tuple(
        f"{grant.text} {action}" for grant in version.spec.grants for action in grant.actions
    )


def _name(key: _Key) -> str:
    return f"baseline {key[0]}/{key[1]}"
