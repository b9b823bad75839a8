"""The licences of all packages in a bundle, wherever in it their metadata lies."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from casemate.advisories import Ecosystem, normalised
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.licence import PackageLicence
from casemate.sbom.distributions import SbomError, headers
from casemate.sbom.licences import Stated, stated_in
from casemate.shown_text import printable

MAX_LICENCES = 5_000
"""Of one bundle. What is beyond is not known."""
MAX_STATED = 80
MAX_METADATA_BYTES = 32 * 1024 * 1024
"""Of one bundle, which take 5 s to read. What is beyond is not known."""
_SUFFIX = ".dist-info"
_NONE = Stated(expression="", text="no licence")
_UNREAD = (Stated(expression="", text="more METADATA than is read"),)


def bundle_licences(bundle: Path, manifest: BundleManifest) -> tuple[PackageLicence, ...]:
    """Return the licences of a bundle's packages: at least one entry of each.

    Who makes a bundle writes its manifest: so each folder of metadata counts, also below another
    one or in the function's own code. Where one package has several, what each of them states.
    """
    files = {file.path: file for file in manifest.files}
    found: dict[PackageLicence, None] = {}
    left = MAX_METADATA_BYTES
    for folder in _folders(files):
        name, _, version = folder.rsplit("/", 1)[-1].removesuffix(_SUFFIX).partition("-")
        metadata = files.get(f"{folder}/METADATA")
        left -= metadata.size if metadata is not None else 0
        for stated in _stated(bundle, metadata) if left >= 0 else _UNREAD:
            found[_licence(name, version, stated)] = None
        if len(found) >= MAX_LICENCES:
            found[_licence("", "", Stated(expression="", text="too many packages"))] = None
            break
    named = {(each.package, each.version) for each in found}
    for locked in manifest.packages:
        missing = _licence(locked.name, locked.version, _NONE)
        if (missing.package, missing.version) not in named:
            found[missing] = None
    return tuple(sorted(found, key=lambda one: (one.package, one.version, one.expression)))


def _folders(files: Iterable[str]) -> list[str]:
    """Return the folders of metadata by their whole path, sorted; not many more than are read."""
    seen: set[str] = set()
    found: set[str] = set()
    for path in files:
        folder = path.rpartition("/")[0]
        while folder and folder not in seen:  # each once, however many files are below it
            seen.add(folder)
            if folder.endswith(_SUFFIX):
                found.add(folder)
            folder = folder.rpartition("/")[0]
        if len(found) > MAX_LICENCES:
            break
    return sorted(found)


def _stated(bundle: Path, metadata: BundleFile | None) -> tuple[Stated, ...]:
    if metadata is None:
        return (Stated(expression="", text="no METADATA"),)
    try:
        return stated_in(headers(bundle, metadata)) or (_NONE,)
    except SbomError:
        return (Stated(expression="", text="a METADATA that cannot be read"),)


def _licence(name: str, version: str, stated: Stated) -> PackageLicence:
    return PackageLicence(
        package=normalised(Ecosystem.PYPI, name) or _shown(name),
        version=_shown(version),
        expression=stated.expression,
        stated="" if stated.expression else _shown(stated.text),
    )


def _shown(text: str) -> str:
    """Return a stranger's text on a line, without what changes how it looks."""
    return printable(text[:MAX_STATED])
