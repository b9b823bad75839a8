"""Judges again what is live: with other advisories, as exceptions end, and once an hour.

What is found anew is told, and by the node's rules puts a function into quarantine. It is done on a
thread that rests as long as it works, so that calls hardly notice.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec

from casemate.advisories import Judgement, NotJudged, Package, judge_all
from casemate.background import Background
from casemate.model.advisory_facts import AdvisoriesUnreliable, HoleFound
from casemate.model.errors import CasemateError
from casemate.model.facts import Fact
from casemate.model.vulnerability import (
    Hole,
    JudgedFunction,
    LicenceFinding,
    LiveHole,
    LiveLicence,
    LiveProblem,
    QuarantineWhen,
    Verdict,
)
from casemate.operations.quarantine import MAX_REASON, QuarantineFunction
from casemate.store.interface import Store
from casemate.store.parts import Parts
from casemate.vulnerabilities.bundle_packages import Packages
from casemate.vulnerabilities.gate import Gate, Stamp, in_words
from casemate.vulnerabilities.licence_watch import LicenceWatch

_log = logging.getLogger(__name__)
LOOK_SECONDS = 10.0
"""How often it is looked whether there are other advisories, such as by a command on the host."""
EVERY_SECONDS = 3600.0
MAX_FACTS = 2_000
"""Findings that are told one by one, of one look; the rest is told as one."""
MAX_KEPT = 300
"""Holes of one function that are remembered as told."""
_SLICE_SECONDS = 0.004


class Live(NamedTuple):
    """A bundle that callers of a function reach."""

    project: str
    function: str
    version: int
    digest: str


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """Which holes of a function are known already, each with when it was found."""

    project: str
    function: str
    holes: dict[str, float]


class Watch:
    """One per gateway. Belongs to its event loop."""

    def __init__(
        self,
        gate: Gate,
        store: Store,
        *,
        live: Callable[[], Awaitable[Sequence[Live]]],
        digests: Callable[[], Iterable[str]],
        packages: Callable[[str], Awaitable[Packages]],
        quarantine: Callable[[QuarantineFunction], Awaitable[object]],
        happened: Callable[[Fact], None],
    ) -> None:
        """Judge by `gate` what `live` returns once no change of it is under way.

        `digests` are of all bundles that some version has; `packages` reads those that were
        deployed before their packages, or the licences of these, were remembered.
        """
        self._gate = gate
        self._live = live
        self._digests = digests
        self._read = packages
        self._quarantine = quarantine
        self._happened = happened
        self._told = Parts(store, "told holes", _Told, _name)
        self._found: tuple[LiveHole, ...] = ()
        self._problems: tuple[LiveProblem, ...] = ()
        self._licences = LicenceWatch(store, happened)
        self._unreliable = ""
        self.judged_at: float | None = None
        """When all was judged last; None: not yet."""
        self._stamp: Stamp | None = None
        self._judged: dict[tuple[Package, ...], Judgement] = {}
        """By the advisories of now, so that a change of what is live costs little."""
        self._changed = self._again = False
        self._uncontained: dict[tuple[str, str], frozenset[str]] = {}
        """Holes of functions that could not be put into quarantine: it is tried again."""
        self._wake = asyncio.Event()
        self._looking = asyncio.Lock()
        self._background = Background()
        self._ending = False

    async def start(self) -> None:
        """Read what was told, and look from now on. Raises StoreError."""
        await self.load()
        self._background.start(self._repeat())

    async def load(self) -> None:
        """Read what was told. Raises StoreError."""
        await self._told.load()
        await self._licences.load()

    async def close(self) -> None:
        """Stop looking."""
        self._ending = True
        await self._background.close()

    def found(self, project: str | None) -> tuple[tuple[LiveHole, ...], tuple[LiveProblem, ...]]:
        """Return the holes that live, in a project or all, and what could not be judged."""
        return (
            tuple(one for one in self._found if project in (None, one.project)),
            tuple(one for one in self._problems if project in (None, one.project)),
        )

    def licences(self, project: str | None) -> tuple[LiveLicence, ...]:
        """Return the licences that may not be and live all the same, in a project or all."""
        return self._licences.found(project)

    def follow(self, *, again: bool = False) -> None:
        """Look soon: something is not as it was. `again` acts on what is known already, too."""
        self._changed = True
        self._again = self._again or again
        self._wake.set()

    async def _repeat(self) -> None:
        due, ends = -math.inf, math.inf  # by the clock that nobody sets, and by the host's
        while not self._ending:
            try:
                stamp = await asyncio.to_thread(self._gate.stamp)
                again = time.monotonic() >= due
                ended = time.time() >= ends
                ends = self._gate.exceptions.next_end() or math.inf
                if again or stamp != self._stamp:
                    await self._gate.note_time()
                if again:
                    self._judged.clear()
                changed = self._changed or bool(self._uncontained) or stamp != self._stamp
                if again or ended or changed:
                    await self.look()
                if again:
                    due = time.monotonic() + EVERY_SECONDS
            except Exception:  # noqa: BLE001 - logged; it is looked again soon
                _log.exception("live versions could not be judged")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
            self._wake.clear()

    async def look(self, *, again: bool = False) -> None:
        """Judge all that is live now. With `again` all that is found is acted on, not only news."""
        async with self._looking:
            again, self._again, self._changed = again or self._again, False, False
            try:
                await self._look(again=again)
            except BaseException:
                self._again, self._changed = self._again or again, True
                raise

    async def _look(self, *, again: bool) -> None:
        stamp = await asyncio.to_thread(self._gate.stamp)
        if self._stamp is None or stamp.database != self._stamp.database:
            self._judged.clear()
        live = await self._live()
        packages = [await self._packages(one) for one in live]
        await self._judge({each.packages for each in packages} - self._judged.keys())
        functions = await asyncio.to_thread(self._weighed, live, packages)
        await self._act(functions, again=again)
        await self._gate.inventory.keep_only(self._digests())
        self._stamp, self.judged_at = stamp, time.time()

    def _weighed(
        self, live: Sequence[Live], packages: Sequence[Packages]
    ) -> dict[tuple[str, str], list[tuple[Live, JudgedFunction]]]:
        """Return what each function's bundles come to. Not on the event loop: there are many."""
        functions: dict[tuple[str, str], list[tuple[Live, JudgedFunction]]] = {}
        pause = Pace()
        for one, found in zip(live, packages, strict=True):
            judgement = self._gate.completed(self._judged[found.packages], found)
            weighed = self._gate.weighed(one.project, one.function, judgement, found)
            functions.setdefault((one.project, one.function), []).append((one, weighed))
            pause()
        return functions

    async def _judge(self, lists: set[tuple[Package, ...]]) -> None:
        wanted = list(lists)
        found = await asyncio.to_thread(
            partial(judge_all, wanted, self._gate.place, now=self._gate.now(), pause=Pace())
        )
        self._judged |= zip(wanted, found, strict=True)

    async def _packages(self, live: Live) -> Packages:
        known = self._gate.inventory.get(live.digest)
        ruled = self._gate.licences.rules.allowed is not None
        if known is not None and not (ruled and known.licences is None):
            return known
        try:
            found = await self._read(live.digest)
            await self._gate.inventory.put(live.digest, found)
        except CasemateError as error:
            _log.error("the packages of %s/%s are not known: %s", *live[:2], error)
            if known is not None:
                return known
            # A bundle that cannot be read is not one without packages.
            reason = "its packages are not known"
            return Packages(unknown=(NotJudged(package=live.digest, reason=reason),))
        return found

    async def _act(
        self, functions: dict[tuple[str, str], list[tuple[Live, JudgedFunction]]], *, again: bool
    ) -> None:
        news: list[tuple[Live, Hole]] = []
        found: list[LiveHole] = []
        problems: list[LiveProblem] = []
        told: list[_Told] = []
        uncontained: dict[tuple[str, str], frozenset[str]] = {}
        now = time.time()
        for (project, function), judged in functions.items():
            before = self._told.held.get(f"{project}/{function}")
            known = {} if before is None else before.holes
            holes = {_key(hole): (one, hole) for one, each in judged for hole in each.holes}
            since = {key: known.get(key, now) for key in list(holes)[:MAX_KEPT]}
            missed = self._uncontained.get((project, function), frozenset())
            acted = [key for key in holes if again or key not in known or key in missed]
            if not await self._contain([holes[key][1] for key in acted], project, function):
                uncontained[project, function] = frozenset(acted)
            news += [pair for key, pair in holes.items() if key not in known]
            found += [
                LiveHole(project=project, function=function, since=since.get(key, now), hole=hole)
                for key, (_, hole) in holes.items()
            ]
            unjudged = _unjudged(judged)
            if unjudged is not None:
                text, exception = unjudged
                problem = LiveProblem(
                    project=project, function=function, problem=text, exception=exception
                )
                problems.append(problem)
                since = {**known, **since}  # what could not be looked up is not gone
            if since != known:
                told.append(_Told(project=project, function=function, holes=since))
        self._found, self._problems = tuple(found), tuple(problems)
        self._uncontained = uncontained
        self._tell(news, [each for each in problems if not each.exception])
        await self._told.put(*told)
        await self._licences.note({name: _licences(each) for name, each in functions.items()}, now)

    async def _contain(self, holes: Sequence[Hole], project: str, function: str) -> bool:
        """Put a function into quarantine where the rules say so; return whether that went well."""
        when = self._gate.rules.quarantine
        wanted = [hole for hole in holes if _contains(hole, when)]
        if not wanted:
            return True
        reason = "; ".join(in_words(hole) for hole in wanted)[:MAX_REASON]
        kill = any(hole.malicious for hole in wanted)
        try:
            await self._quarantine(
                QuarantineFunction(project=project, function=function, reason=reason, kill=kill)
            )
        except CasemateError as error:
            _log.error("%s/%s is not in quarantine: %s", project, function, error)
            return False
        return True

    def _tell(self, news: Sequence[tuple[Live, Hole]], problems: Sequence[LiveProblem]) -> None:
        now = time.time()
        for live, hole in news[:MAX_FACTS]:
            self._happened(
                HoleFound(
                    at=now,
                    project=live.project,
                    function=live.function,
                    version=live.version,
                    package=f"{hole.package} {hole.version}",
                    advisory=hole.id,
                    severity=hole.severity,
                    malicious=hole.malicious,
                    known_exploited=hole.known_exploited,
                    fixed=hole.fixed,
                    verdict=hole.verdict.value,
                    reason=hole.why,
                )
            )
        if len(news) > MAX_FACTS:
            self._happened(_many(news[MAX_FACTS:], now))
        text = problems[0].problem if problems else ""
        if text and text != self._unreliable:
            self._happened(AdvisoriesUnreliable(at=now, reason=text))
        self._unreliable = text


def _unjudged(judged: Sequence[tuple[Live, JudgedFunction]]) -> tuple[str, str] | None:
    """Return why bundles of a function cannot be judged, and the exception that lets them live.

    One that no exception lets live goes before the others.
    """
    found = [(problem, each.exception) for _, each in judged for problem in each.problems]
    return min(found, key=lambda one: bool(one[1]), default=None)


def _licences(
    judged: Sequence[tuple[Live, JudgedFunction]],
) -> tuple[int, tuple[LicenceFinding, ...]]:
    """Return what bundles of a function have, each once, and the version of the first."""
    found = {one: live.version for live, each in reversed(judged) for one in each.licences}
    return next(reversed(found.values()), 0), tuple(found)


def _many(news: Sequence[tuple[Live, Hole]], now: float) -> HoleFound:
    holes = [hole for _, hole in news]
    return HoleFound(
        at=now,
        package="",
        advisory="",
        severity="unknown",
        malicious=any(hole.malicious for hole in holes),
        known_exploited=any(hole.known_exploited for hole in holes),
        fixed=(),
        verdict=Verdict.REFUSED.value,
        reason="many at once; casemate advisories live lists them",
        count=len(holes),
    )


def _contains(hole: Hole, when: QuarantineWhen) -> bool:
    if hole.verdict is not Verdict.REFUSED or when is QuarantineWhen.NEVER:
        return False
    if when is QuarantineWhen.REFUSED:
        return True
    return hole.malicious or (when is QuarantineWhen.EXPLOITED and hole.known_exploited)


def _key(hole: Hole) -> str:
    """Return what tells a finding from others: one that is refused anew is another one."""
    return f"{hole.key} {hole.verdict is Verdict.REFUSED:d}"


def _name(told: _Told) -> str:
    return f"{told.project}/{told.function}"


class Pace:
    """Rests, when it is called, as long as it has worked: others need the interpreter as well."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    def __call__(self) -> None:
        worked = time.perf_counter() - self._since
        if worked >= _SLICE_SECONDS:
            time.sleep(min(worked, 0.05))
            self._since = time.perf_counter()
