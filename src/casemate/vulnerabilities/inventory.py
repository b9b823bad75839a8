"""Which packages each bundle has, under which licences: so none is opened to be judged again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from casemate.advisories import Ecosystem, NotJudged, Package
from casemate.model.licence import PackageLicence
from casemate.store.interface import Store
from casemate.store.parts import Parts
from casemate.vulnerabilities.bundle_packages import Packages

_PARTS = 256


class _Bundle(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    digest: str
    packages: tuple[tuple[str, str], ...]
    """Names and versions, all of PyPI."""
    unknown: tuple[tuple[str, str], ...] = ()
    """What could not be made out, and why."""
    licences: tuple[tuple[str, str, str, str], ...] | None = None
    """Package, version, expression and what is stated instead; None: nobody has looked."""


class Inventory:
    """Packages by a bundle's digest. Equal lists of packages are in memory once."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`; nothing is known before `load`."""
        self._parts = Parts(store, "packages of bundles", _Bundle, _digest, parts=_PARTS)
        self._known: dict[str, Packages] = {}
        self._shared: dict[Packages, Packages] = {}

    async def load(self) -> None:
        """Read them. Raises StoreError."""
        await self._parts.load()
        for each in self._parts.held.values():
            self._take(each)

    def _take(self, bundle: _Bundle) -> None:
        found = Packages(
            packages=tuple(
                Package(ecosystem=Ecosystem.PYPI, name=name, version=version)
                for name, version in bundle.packages
            ),
            unknown=tuple(NotJudged(package=what, reason=why) for what, why in bundle.unknown),
            licences=_licences(bundle),
        )
        self._known[bundle.digest] = self._shared.setdefault(found, found)

    def get(self, digest: str) -> Packages | None:
        """Return the packages of a bundle, None if they are not known."""
        return self._known.get(digest)

    async def put(self, digest: str, found: Packages) -> None:
        """Remember the packages of a bundle."""
        if self._known.get(digest) == found:
            return
        bundle = _Bundle(
            digest=digest,
            packages=tuple((each.name, each.version) for each in found.packages),
            unknown=tuple((each.package, each.reason) for each in found.unknown),
            licences=None
            if found.licences is None
            else tuple((e.package, e.version, e.expression, e.stated) for e in found.licences),
        )
        await self._parts.put(bundle)
        self._take(bundle)

    async def keep_only(self, digests: Iterable[str]) -> None:
        """Forget all other bundles."""
        gone = self._known.keys() - set(digests)
        if gone:
            await self._parts.drop(gone)
            for digest in gone:
                del self._known[digest]
            self._shared = {found: found for found in self._known.values()}


def _licences(bundle: _Bundle) -> tuple[PackageLicence, ...] | None:
    if bundle.licences is None:
        return None
    return tuple(
        PackageLicence(package=package, version=version, expression=expression, stated=stated)
        for package, version, expression, stated in bundle.licences
    )


def _digest(bundle: _Bundle) -> str:
    return bundle.digest
