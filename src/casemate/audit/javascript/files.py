"""Which file a module's name means: `./orders`, `../lib`, `@/orders` where a project has it so."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from casemate.audit.javascript.syntax import SUFFIXES, Parsed

_ENDS = ("", *(f".{each}" for each in SUFFIXES), *(f"/index.{each}" for each in SUFFIXES))
_WRITTEN = {"js": ("ts", "tsx"), "mjs": ("mts",), "cjs": ("cts",), "jsx": ("tsx",)}
"""TypeScript is imported by the name of what it is compiled to."""
_ROOTS = ("@/", "~/", "src/")
_MAX_NAME = 300


class Files:
    """The parsed files of a part of an application."""

    def __init__(self, parsed: Mapping[str, Parsed], others: frozenset[str] = frozenset()) -> None:
        """Know them, and which others are there that are no code (JSON)."""
        self.parsed = parsed
        self.others = others

    def find(self, name: str, near: str) -> str | None:
        """Return the file that a name means in a file, or None."""
        if len(name) > _MAX_NAME:
            return None
        folder = posixpath.dirname(near)
        if name.startswith("."):
            return self._at(posixpath.normpath(posixpath.join(folder, name)))
        if name.startswith("/"):
            layered = getattr(self.parsed, "layered", None)
            ways = layered(name) if layered is not None else ()
            return next((found for path in ways if (found := self._at(path)) is not None), None)
        for root in _ROOTS:
            if name.startswith(root):
                rest = name.removeprefix(root)
                for start in ("", "src/"):
                    found = self._at(posixpath.normpath(start + rest))
                    if found is not None:
                        return found
        named = getattr(self.parsed, "named", None)
        for path in named(name) if named is not None else ():
            found = self._at(path)
            if found is not None:
                return found
        return None

    def _at(self, path: str) -> str | None:
        path = "" if path == "." else path
        for end in _ENDS:
            whole = f"{path}{end}".lstrip("/")
            if whole in self.parsed:
                return whole
        stem, _, suffix = path.rpartition(".")
        for other in _WRITTEN.get(suffix, ()):
            if f"{stem}.{other}" in self.parsed:
                return f"{stem}.{other}"
        return None


def is_own(name: str) -> bool:
    """Return whether a name means a file beside, and no package."""
    return name.startswith((".", "/", "@/", "~/"))


def package_of(name: str) -> str:
    """Return a package's name, as names of what is in it begin: `node:fs/promises` is `fs`."""
    plain = name.removeprefix("node:")
    parts = plain.split("/")
    if plain.startswith("@"):
        return "/".join(parts[:2])
    return parts[0]
