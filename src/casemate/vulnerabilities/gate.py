"""The gate: no bundle is deployed whose packages have known holes, cannot be looked up, or are
under licences that the node's rule does not allow."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import Callable
from typing import NamedTuple, NoReturn

import msgspec

from casemate.advisories import Ecosystem, Judgement, Place, Problem, Standing, Trouble, judge, look
from casemate.advisories.database import IMPORT_TO_NODE
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.denial import DenialKind, denied_at
from casemate.model.errors import ConflictError
from casemate.model.facts import Actor, Fact, FunctionPlace
from casemate.model.licence import LicenceRules
from casemate.model.vulnerability import AdvisoryRules, Hole, JudgedFunction, LicenceFinding
from casemate.store.errors import StoreError, StoreMovedError
from casemate.store.interface import Store
from casemate.store.value import KeptValue
from casemate.vulnerabilities.bundle_packages import Packages
from casemate.vulnerabilities.exceptions import Exceptions
from casemate.vulnerabilities.inventory import Inventory
from casemate.vulnerabilities.licences import Licences, licence_findings
from casemate.vulnerabilities.weighing import weigh

CLOCK_SECONDS = 3600.0
"""How far the clock may be behind what it was: beyond that it was set back."""
_SETTINGS = "advisory settings"
_MAX_NAMED = 10
"""Holes that an error names; the rest is counted."""


class VulnerableError(ConflictError):
    """Packages of the bundle have known holes, or cannot be looked up."""


class LicenceError(ConflictError):
    """Packages of the bundle are under licences that may not be."""


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the store keeps: the rules, and the latest time that the node has seen."""

    rules: AdvisoryRules = AdvisoryRules()
    latest: float = 0.0


class Stamp(NamedTuple):
    """What a deploy is judged by, as it is at a moment."""

    database: tuple[int, int, int]
    """Of the file of advisories: inode, time and size."""
    exceptions: int
    """How often they have changed."""
    rules: AdvisoryRules
    licences: LicenceRules


class Gate:
    """Judges packages of functions by the node's advisories. Belongs to one event loop."""

    def __init__(
        self,
        place: Place,
        store: Store,
        happened: Callable[[Fact], None],
        clock: Callable[[], float] = time.time,
        deleting: Callable[[], float] | None = None,
    ) -> None:
        """Judge by the advisories in `place`; nothing is known before `load`.

        Exceptions that ended long ago are forgotten by `deleting`, without it by `clock`.
        """
        self.place = place
        self.exceptions = Exceptions(store, happened, clock, deleting)
        self.inventory = Inventory(store)
        self.licences = Licences(store)
        self._value = KeptValue(store, _SETTINGS)
        self._happened = happened
        self._clock = clock
        self._settings = _Settings()

    async def load(self) -> None:
        """Read rules, exceptions and packages of bundles; at any time. Raises StoreError."""
        await self.exceptions.load()
        await self.inventory.load()
        await self.licences.load()
        await self._read()

    async def _read(self) -> None:
        stored = await self._value.read()
        if stored is not None:
            try:
                self._settings = msgspec.json.decode(stored, type=decodable(_Settings))
            except DECODING_ERRORS as error:
                raise StoreError(
                    "What the node does about known vulnerabilities cannot be read.",
                    next_step="Start the Casemate that wrote it, or restore the store.",
                ) from error

    # -- rules and time ------------------------------------------------------------------------

    @property
    def rules(self) -> AdvisoryRules:
        """What is done about holes."""
        return self._settings.rules

    async def set_rules(self, rules: AdvisoryRules) -> None:
        """Keep other rules."""
        await self._keep(msgspec.structs.replace(self._settings, rules=rules))

    async def note_time(self, *, anew: bool = False) -> None:
        """Keep what time it is; `anew` also where it is earlier: an operator has said so.

        All nodes do that, often at the same time: what another one has kept is read then.
        """
        for has_read in (False, True):
            now = self._clock()
            if not anew and now <= self._settings.latest:
                return
            try:
                await self._keep(msgspec.structs.replace(self._settings, latest=now))
            except StoreMovedError:
                if has_read:
                    raise
                await self._read()
            else:
                return

    async def _keep(self, settings: _Settings) -> None:
        await self._value.write(msgspec.json.encode(settings))
        self._settings = settings

    def now(self) -> float:
        """Return the time; never one before what was seen, so that nothing gets younger."""
        return max(self._clock(), self._settings.latest)

    def _clock_problem(self) -> tuple[Problem, ...]:
        behind = self._settings.latest - self._clock()
        if behind <= CLOCK_SECONDS:
            return ()
        text = f"The clock is {behind / 3600:.0f} hours behind what it was: was it set back?"
        return (Problem(kind=Trouble.OLD, text=text),)

    # -- judging -------------------------------------------------------------------------------

    async def standing(self) -> Standing:
        """Return how the advisories stand. Functions of a node have packages of Python alone."""
        found = await asyncio.to_thread(look, self.place, self.now(), (Ecosystem.PYPI,))
        return msgspec.structs.replace(found, problems=(*found.problems, *self._clock_problem()))

    async def judged(self, project: str, function: str, found: Packages) -> JudgedFunction:
        """Return what advisories say of packages of a function, and what that means."""
        return await asyncio.to_thread(self._judged, project, function, found)

    def _judged(self, project: str, function: str, found: Packages) -> JudgedFunction:
        judgement = self.completed(judge(found.packages, self.place, now=self.now()), found)
        return self.weighed(project, function, judgement, found)

    def weighed(
        self, project: str, function: str, judgement: Judgement, found: Packages
    ) -> JudgedFunction:
        """Return what a judgement of packages, and their licences, mean for a function now."""
        exceptions = self.exceptions.of(project, function)
        now = self.now()
        return msgspec.structs.replace(
            weigh(judgement, self.rules, exceptions, now),
            licences=licence_findings(found, self.licences.rules, exceptions, now),
        )

    def completed(self, judged: Judgement, found: Packages) -> Judgement:
        """Return a judgement with what else is wrong: the clock, names that are none."""
        if not (found.packages or found.unknown):
            return judged
        return msgspec.structs.replace(
            judged,
            not_judged=(*judged.not_judged, *found.unknown),
            problems=(*judged.problems, *self._clock_problem()),
        )

    def stamp(self) -> Stamp:
        """Return what changes with anything that a deploy is judged by."""
        try:
            stat = self.place.database.stat()
            file = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        except OSError:
            file = (0, 0, 0)
        return Stamp(file, self.exceptions.revision, self.rules, self.licences.rules)

    async def require(self, project: str, function: str, found: Packages, by: Actor) -> None:
        """Let a bundle with these packages be deployed, or record that it is not.

        Raises VulnerableError, LicenceError.
        """
        judged = await self.judged(project, function, found)
        if judged.refused:
            self._refuse(project, function, refusal(project, function, judged), by)

    def require_advisories(
        self, project: str, function: str, standing: Standing, by: Actor
    ) -> None:
        """Raise VulnerableError, and record it, for a function with packages, whichever they are.

        That is if advisories cannot be relied upon as they stand, and no exception lets it be.
        """
        judgement = Judgement(problems=standing.problems, next_step=standing.next_step)
        exceptions = self.exceptions.of(project, function)
        judged = weigh(judgement, self.rules, exceptions, self.now())
        if judged.refused:
            text = " ".join(judged.problems)
            error = VulnerableError(
                f"The packages cannot be looked up. {text}",
                next_step=_without(f"{project}/{function}"),
            )
            self._refuse(project, function, error, by)

    def _refuse(
        self, project: str, function: str, error: VulnerableError | LicenceError, by: Actor
    ) -> NoReturn:
        self._happened(
            denied_at(
                FunctionPlace(project, function, 0, invocation=""),
                at=time.time(),
                kind=DenialKind.ADVISORIES
                if isinstance(error, VulnerableError)
                else DenialKind.LICENCE,
                by=by,
                action="function:deploy",
                reason=error.message,
            )
        )
        raise error


def refusal(project: str, function: str, judged: JudgedFunction) -> VulnerableError | LicenceError:
    """Return the error of a function that is not deployed: the ids, and the ways on."""
    name = f"{project}/{function}"
    if judged.problems and not judged.exception:
        text = " ".join(judged.problems[:_MAX_NAMED])
        return VulnerableError(
            f"{name} is not deployed: its packages cannot be looked up. {text}",
            next_step=_without(name),
        )
    holes = judged.refusing
    if not holes:
        return _refused_licences(name, judged.refusing_licences)
    named = "; ".join(in_words(hole) for hole in holes[:_MAX_NAMED])
    rest = f"; and {len(holes) - _MAX_NAMED} more" if len(holes) > _MAX_NAMED else ""
    first = holes[0]
    return VulnerableError(
        f"{name} is not deployed, because of known vulnerabilities in its packages: {named}{rest}.",
        next_step="Take a version with a fix. Or record an exception: casemate advisories "
        f"except {name} --advisory {first.id} --package {first.package} --for 30d --reason TEXT",
    )


def _without(name: str) -> str:
    """Return what to do where packages cannot be looked up."""
    return (
        f"Import advisories, of osv.dev or a mirror: {IMPORT_TO_NODE}. Or record an "
        f"exception: `casemate advisories except {name} --without-advisories --for 7d "
        "--reason TEXT`"
    )


def _refused_licences(name: str, findings: tuple[LicenceFinding, ...]) -> LicenceError:
    named = "; ".join(
        f"{each.package} {each.version} ({each.why})" for each in findings[:_MAX_NAMED]
    )
    rest = f"; and {len(findings) - _MAX_NAMED} more" if len(findings) > _MAX_NAMED else ""
    return LicenceError(
        f"{name} is not deployed, for licences of its packages: {named}{rest}.",
        next_step="Take another package. Or have who administers the node allow the licence: "
        f"casemate advisories licences. Or record an exception: {way_on(name, findings[0])}",
    )


def way_on(name: str, finding: LicenceFinding) -> str:
    """Return the command by which an exception of a licence is recorded."""
    return (
        f"casemate advisories except {name} --advisory {shlex.quote(finding.id)} "
        f"--package {shlex.quote(finding.package)} --for 30d --reason TEXT"
    )


def in_words(hole: Hole) -> str:
    """Return a hole in a line."""
    fixed = f"fixed in {', '.join(hole.fixed)}" if hole.fixed else "no version is fixed"
    return f"{hole.id} in {hole.package} {hole.version} ({hole.why}; {fixed})"
