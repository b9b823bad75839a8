"""What advisories are about: packages of an ecosystem, by names that are written one way."""

from __future__ import annotations

from enum import StrEnum
from urllib.parse import quote, unquote

import msgspec

from casemate.advisories.limits import MAX_NAME_CHARS

_PYPI_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


class Ecosystem(StrEnum):
    """Where a package comes from, as OSV calls it."""

    PYPI = "PyPI"
    NPM = "npm"


class Package(msgspec.Struct, frozen=True, kw_only=True, order=True, gc=False):
    """One version of a package. `name` is as `normalised` returns it."""

    ecosystem: Ecosystem
    name: str
    version: str

    @property
    def purl(self) -> str:
        """Return the package URL (purl-spec)."""
        kind = "pypi" if self.ecosystem is Ecosystem.PYPI else "npm"
        name = "/".join(quote(part, safe="") for part in self.name.split("/"))
        return f"pkg:{kind}/{name}@{quote(self.version, safe='')}"


def ecosystem_of(text: str) -> Ecosystem | None:
    """Return the ecosystem that a record names, or None for another.

    What follows a colon tells a registry apart (`PyPI:https://...`); advisories for one are taken
    for all, so that none is missed.
    """
    name = text.split(":", 1)[0]
    return next((one for one in Ecosystem if one.value == name), None)


def normalised(ecosystem: Ecosystem, name: str) -> str | None:
    """Return the one way to write a name (PEP 503; npm's as they are), or None if it is none."""
    if not name or len(name) > MAX_NAME_CHARS or not name.isascii():
        return None
    if ecosystem is Ecosystem.PYPI:
        parts = name.lower().replace("_", "-").replace(".", "-").split("-")
        clean = "-".join(part for part in parts if part)
        edges = name[0] not in "-_." and name[-1] not in "-_."
        return clean if clean and edges and _PYPI_CHARS.issuperset(clean) else None
    scope, slash, rest = name.partition("/") if name.startswith("@") else ("", "", name)
    fine = rest and "/" not in rest and (not scope or (slash and len(scope) > 1))
    if not fine or not name.isprintable() or " " in name or "\\" in name:
        return None
    return name


def package_of_purl(text: str) -> Package | str:
    """Return the package of a package URL, or what is wrong with it."""
    if len(text) > 2 * MAX_NAME_CHARS or not text.startswith("pkg:"):
        return "no package URL"
    path = text[4:].lstrip("/").split("#", 1)[0].split("?", 1)[0]
    kind, _, rest = path.partition("/")
    ecosystem = {"pypi": Ecosystem.PYPI, "npm": Ecosystem.NPM}.get(kind.lower())
    if ecosystem is None:
        return f"no advisories are kept for packages of `{kind}`"
    name, at, version = rest.rpartition("@")
    if not at or not name or not version:
        return "no version"
    found = normalised(ecosystem, unquote(name))
    if found is None:
        return "the name is not valid"
    return Package(ecosystem=ecosystem, name=found, version=unquote(version))
