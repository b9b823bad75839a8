"""Exceptions: that a function may be deployed in spite of a hole, or without advisories."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

from msgspec.structs import replace

from casemate.advisories import Ecosystem, normalised
from casemate.model.advisory_facts import AdvisoryExcepted
from casemate.model.errors import InvalidInputError, NotFoundError, QuotaError
from casemate.model.facts import Actor, Fact
from casemate.model.still import require_still
from casemate.model.vulnerability import AdvisoryException
from casemate.operations.advisories import ExceptAdvisory
from casemate.store.interface import Store
from casemate.store.parts import Parts

MAX_EXCEPTIONS = 10_000
"""Of a node, those that have expired among them."""
KEPT_SECONDS = 400 * 86400.0
"""For so long an exception that has expired is still listed."""

_Indexed = tuple[dict[str, AdvisoryException], dict[tuple[str, str], tuple[AdvisoryException, ...]]]


class Exceptions:
    """The exceptions of a node. Belongs to one event loop."""

    def __init__(
        self,
        store: Store,
        happened: Callable[[Fact], None],
        clock: Callable[[], float] = time.time,
        deleting: Callable[[], float] | None = None,
    ) -> None:
        """Keep them in `store`; nothing is known before `load`.

        What is old is forgotten by `deleting`, without it by `clock`.
        """
        self._parts = Parts(store, "advisory exceptions", AdvisoryException, lambda each: each.id)
        self._happened = happened
        self._clock = clock
        self._deleting = deleting or clock
        self._changing = asyncio.Lock()
        self._indexed: _Indexed | None = None
        self.revision = 0
        """Counts up with every change."""

    async def load(self) -> None:
        """Read them. Raises StoreError."""
        await self._parts.load()

    def of(self, project: str, function: str) -> tuple[AdvisoryException, ...]:
        """Return those of a function, also those that have expired, by when they expire."""
        return self._by_function().get((project, function), ())

    def _by_function(self) -> dict[tuple[str, str], tuple[AdvisoryException, ...]]:
        """Return them by function; made once for each change: 10,000 functions ask for theirs."""
        held, indexed = self._parts.held, self._indexed
        if indexed is None or indexed[0] is not held:
            found: dict[tuple[str, str], list[AdvisoryException]] = {}
            for each in sorted(held.values(), key=lambda one: one.expires_at):
                found.setdefault((each.project, each.function), []).append(each)
            indexed = self._indexed = held, {name: tuple(all_) for name, all_ in found.items()}
        return indexed[1]

    def all(self) -> tuple[AdvisoryException, ...]:
        """Return all, by function and by when they expire."""
        return tuple(
            sorted(
                self._parts.held.values(),
                key=lambda each: (each.project, each.function, each.expires_at),
            )
        )

    def next_end(self) -> float | None:
        """Return when the next one expires, None if none does."""
        now = self._clock()
        ends = (e.expires_at for e in self._parts.held.values() if e.expires_at > now)
        return min(ends, default=None)

    async def add(self, wanted: ExceptAdvisory, by: Actor) -> AdvisoryException:
        """Record an exception. Raises InvalidInputError, QuotaError.

        One that says the same takes the place of that in force: who asks again, because no answer
        came, would otherwise withdraw the one of the two that he knows of.
        """
        package = normalised(Ecosystem.PYPI, wanted.package) if wanted.package else ""
        if bool(wanted.advisory) != bool(wanted.package) or package is None:
            raise InvalidInputError(
                "An exception names an advisory and a package, or neither of them.",
                next_step="Name both; for a node without advisories, neither.",
            )
        now = self._clock()
        made = AdvisoryException(
            id=f"exc_{secrets.token_hex(6)}",
            project=wanted.project,
            function=wanted.function,
            advisory=wanted.advisory,
            package=package,
            version=wanted.version,
            reason=wanted.reason,
            justification=wanted.justification,
            by=by.principal,
            at=now,
            expires_at=now + wanted.seconds,
        )
        async with self._changing:
            require_still()
            await self._forget_old(self._deleting())
            before = [e.id for e in self._parts.held.values() if e.holds(now) and _alike(e, made)]
            if len(self._parts.held) - len(before) >= MAX_EXCEPTIONS:
                raise QuotaError(
                    f"There are {MAX_EXCEPTIONS} exceptions already, which is the most.",
                    next_step="Withdraw some: casemate advisories exceptions",
                )
            await self._parts.put(made)
            self.revision += 1
            await self._parts.drop(before)
        self._happened(
            AdvisoryExcepted(
                at=now,
                by=by.principal,
                remote_address=by.remote_address,
                project=made.project,
                function=made.function,
                exception=made.id,
                advisory=made.advisory,
                package=made.package,
                reason=made.reason,
                expires_at=made.expires_at,
            )
        )
        return made

    async def end(self, project: str, function: str, id: str) -> None:
        """Withdraw an exception. Raises NotFoundError."""
        async with self._changing:
            require_still()
            found = self._parts.held.get(id)
            if found is None or (found.project, found.function) != (project, function):
                raise NotFoundError(
                    f"{project}/{function} has no exception {id}.",
                    next_step="See them: casemate advisories exceptions",
                )
            await self._parts.drop((id,))
            self.revision += 1

    async def _forget_old(self, now: float) -> None:
        old = [e.id for e in self._parts.held.values() if e.expires_at < now - KEPT_SECONDS]
        if old:
            await self._parts.drop(old)


def _alike(one: AdvisoryException, other: AdvisoryException) -> bool:
    """Tell whether both say the same, but for the time."""
    return replace(one, id=other.id, at=other.at, expires_at=other.expires_at) == other
