"""Nothing that Casemate needs to run is under the GPL, AGPL or LGPL (ADR 0042)."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[3]
_ALLOWED = re.compile(
    r"(?:MIT(?:-0)?|BSD(?:-[23]-Clause)?|Apache(?:-2\.0)?|ISC|PSF(?:-2\.0)?|MPL(?:-2\.0)?|zlib)"
)
_NAMES = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
_READ = {
    "cedarpy": ("Apache License", "Apache-2.0"),
    "sqlcipher3": ("This software is provided 'as-is', without any express or", "zlib"),
}
"""Packages that say their licence in a file alone: its beginning, and what it is."""
_FORBIDDEN = re.compile(r"\b[AL]?GPL|GNU (?:Affero|Lesser|Library|General)", re.IGNORECASE)


def _required() -> list[Distribution]:
    """Return what is installed of all that `dependencies` brings, by uv.lock."""
    lock = tomllib.loads((_ROOT / "uv.lock").read_text(encoding="utf-8"))
    packages = {package["name"]: package for package in lock["package"]}
    waiting, seen = ["casemate"], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [d["name"] for d in packages[name].get("dependencies", ())]
    found = []
    for name in sorted(seen - {"casemate"}):
        try:
            found.append(distribution(name))
        except PackageNotFoundError:  # of another system or Python
            assert name in {"colorama", "httpx2-jsfetch"}, f"{name} is not installed"
    return found


def licences_of(package: Distribution) -> list[str]:
    """Return the licences that a package states, as SPDX names them; all of them hold or any."""
    metadata = package.metadata
    stated = metadata.get("License-Expression") or metadata.get("License")
    if stated and len(stated) < 60:
        return [_NAMES.get(part, part) for part in re.split(r" (?:OR|AND) ", stated)]
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier") or []
        if text.startswith("License ::")
    ]
    if classifiers:
        return [_NAMES.get(text, text) for text in classifiers]
    if package.name not in _READ:
        return []
    beginning, name = _READ[package.name]
    texts = [f.read_text() for f in package.files or [] if f.name == "LICENSE"]
    return [name] if any(beginning in text[:600] for text in texts) else []


@pytest.mark.parametrize("package", _required(), ids=lambda package: package.name)
def test_what_is_required_is_under_a_licence_that_may_be(package: Distribution) -> None:
    licences = licences_of(package)
    assert licences, f"{package.name} states no licence: read it, and put it into _READ"
    for licence in licences:
        assert _ALLOWED.fullmatch(licence), f"{package.name} is under {licence!r}"


@pytest.mark.parametrize("package", _required(), ids=lambda package: package.name)
def test_it_holds_no_file_of_a_licence_that_may_not_be(package: Distribution) -> None:
    for file in package.files or []:
        if re.match(r"(?:LICEN[CS]E|COPYING|NOTICE)", file.name, re.IGNORECASE):
            text = file.read_text()
            # These two name the GPL as what they may be combined with.
            if not text.startswith(("Mozilla Public License", "A. HISTORY OF THE SOFTWARE")):
                assert not _FORBIDDEN.search(text), f"{package.name}: {file}"


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-only", "LGPL-2.1-or-later", "AGPL-3.0", "GNU General Public License v3"]
)
def test_the_check_refuses_them(licence: str) -> None:
    assert not _ALLOWED.fullmatch(licence) and _FORBIDDEN.search(licence)
