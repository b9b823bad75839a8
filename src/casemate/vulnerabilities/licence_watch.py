"""Which licences live in spite of the node's rule: told once for each function that has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from casemate.model.advisory_facts import LicencesFound
from casemate.model.facts import Fact
from casemate.model.vulnerability import LicenceFinding, LiveLicence, Verdict
from casemate.store.interface import Store
from casemate.store.parts import Parts

MAX_FACTS = 1_000
"""Functions that are told of one by one, of one look; the rest is told as one."""
MAX_NAMED = 20
"""Licences that one fact names."""
MAX_KEPT = 300
"""Licences of one function that are remembered as told."""

Licensed = Mapping[tuple[str, str], tuple[int, Sequence[LicenceFinding]]]
"""What was found, by project and function, and in which version."""


class _Told(msgspec.Struct, frozen=True, kw_only=True):
    """What of a function was told already."""

    project: str
    function: str
    licences: tuple[str, ...]
    """The first `MAX_KEPT`, sorted."""


class LicenceWatch:
    """One per gateway. Belongs to its event loop."""

    def __init__(self, store: Store, happened: Callable[[Fact], None]) -> None:
        """Remember in `store` what was told; nothing is known before `load`."""
        self._told = Parts(store, "told licences", _Told, _name)
        self._happened = happened
        self._found: tuple[LiveLicence, ...] = ()

    async def load(self) -> None:
        """Read what was told. Raises StoreError."""
        await self._told.load()

    def found(self, project: str | None) -> tuple[LiveLicence, ...]:
        """Return what was found last, in a project or all."""
        return tuple(one for one in self._found if project in (None, one.project))

    async def note(self, live: Licensed, now: float) -> None:
        """Take what was found in all that is live, and tell what is new of it."""
        self._found = tuple(
            LiveLicence(project=project, function=function, licence=licence)
            for (project, function), (_, licences) in live.items()
            for licence in licences
        )
        facts: list[LicencesFound] = []
        told: list[_Told] = []
        for (project, function), (version, licences) in live.items():
            before = self._told.held.get(f"{project}/{function}")
            known = () if before is None else before.licences
            keys = sorted(_key(one) for one in licences)[:MAX_KEPT]
            if keys == list(known):
                continue
            told.append(_Told(project=project, function=function, licences=tuple(keys)))
            fresh = set(keys) - set(known)
            news = [one for one in licences if _key(one) in fresh]
            if news:
                facts.append(_fact(news, now, project, function, version))
        gone = self._told.held.keys() - {f"{project}/{function}" for project, function in live}
        await self._told.put(*told)
        await self._told.drop(gone)
        for fact in facts[:MAX_FACTS]:
            self._happened(fact)
        if len(facts) > MAX_FACTS:
            self._happened(_many(facts[MAX_FACTS:], now))


def _fact(
    news: Sequence[LicenceFinding], now: float, project: str, function: str, version: int
) -> LicencesFound:
    ordered = sorted(news, key=lambda one: one.verdict is not Verdict.REFUSED)
    return LicencesFound(
        at=now,
        project=project,
        function=function,
        version=version,
        found=tuple(f"{one.package} {one.version}: {one.id}" for one in ordered[:MAX_NAMED]),
        verdict=ordered[0].verdict.value,
        reason=ordered[0].why,
        count=len(ordered),
    )


def _many(facts: Sequence[LicencesFound], now: float) -> LicencesFound:
    return LicencesFound(
        at=now,
        found=(),
        verdict=Verdict.REFUSED.value,
        reason="many at once; casemate advisories live lists them",
        count=sum(fact.count for fact in facts),
    )


def _key(one: LicenceFinding) -> str:
    """Return what tells a finding from others: one that is refused anew is another one."""
    return f"{one.package} {one.version} {one.id} {one.verdict is Verdict.REFUSED:d}"


def _name(told: _Told) -> str:
    return f"{told.project}/{told.function}"
