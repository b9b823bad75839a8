"""Which packages of others are in a bundle: what its lock says, and what its files show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from casemate.advisories import Ecosystem, NotJudged, Package, normalised
from casemate.model.bundle import BundleManifest, LockedPackage
from casemate.model.licence import PackageLicence
from casemate.sbom import bundle_licences
from casemate.sbom.expressions import canonical
from casemate.sbom.stated_licences import MAX_STATED

_SUFFIX = ".dist-info"


class Packages(msgspec.Struct, frozen=True, kw_only=True):
    """Packages, sorted, and those whose name is none."""

    packages: tuple[Package, ...] = ()
    unknown: tuple[NotJudged, ...] = ()
    licences: tuple[PackageLicence, ...] | None = None
    """None: nobody has looked."""


def read_packages(bundle: Path, manifest: BundleManifest) -> Packages:
    """Return the packages of a bundle that is here, and their licences. Blocks."""
    return msgspec.structs.replace(
        packages_of(manifest), licences=bundle_licences(bundle, manifest)
    )


def packages_of(manifest: BundleManifest) -> Packages:
    """Return the packages of a bundle.

    Who makes a bundle writes its manifest: so folders of metadata count as well, wherever they are.
    """
    return named((*manifest.packages, *_installed(manifest)))


def named(
    locked: Iterable[LockedPackage], licences: tuple[PackageLicence, ...] | None = None
) -> Packages:
    """Return packages by their names and versions, with what is said of their licences."""
    found: set[Package] = set()
    unknown: set[NotJudged] = set()
    for each in locked:
        name = normalised(Ecosystem.PYPI, each.name)
        if name is None or not each.version:
            shown = f"{each.name} {each.version}"[:200]
            unknown.add(NotJudged(package=shown, reason="the name or version is not valid"))
        else:
            found.add(Package(ecosystem=Ecosystem.PYPI, name=name, version=each.version))
    return Packages(
        packages=tuple(sorted(found)), unknown=tuple(sorted(unknown)), licences=licences
    )


def stated(licences: Iterable[PackageLicence]) -> tuple[PackageLicence, ...]:
    """Return licences as somebody says them; expressions that cannot be read are unknown."""
    return tuple(
        msgspec.structs.replace(
            each,
            package=normalised(Ecosystem.PYPI, each.package) or each.package[:MAX_STATED],
            version=each.version[:MAX_STATED],
            expression=canonical(each.expression) or "",
            stated=each.stated[:MAX_STATED],
        )
        for each in licences
    )


def _installed(manifest: BundleManifest) -> Iterator[LockedPackage]:
    seen = set()
    for file in manifest.files:
        for part in file.path.split("/")[:-1]:
            if part.endswith(_SUFFIX) and part not in seen:
                seen.add(part)
                name, dash, version = part.removesuffix(_SUFFIX).partition("-")
                yield LockedPackage(name=name, version=version if dash else "")
