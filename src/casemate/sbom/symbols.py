"""Whether a function's code comes to functions of packages: those that advisories name.

Source is read, and nothing is run. All modules are followed that an import anywhere leads to; in
these, what is named by code that may run may be called. That is more than is called. Where names
are made up at run time, or files cannot be read, nothing is said to be out of reach.
"""

from __future__ import annotations

import builtins
import sys
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from casemate.model.bundle import BundleManifest
from casemate.model.evidence import Evidence
from casemate.sbom.imports import MAX_FILE_BYTES, parsed
from casemate.sbom.names import Source, Unit, parts_of, read
from casemate.sbom.reaching import imports_in, located, package_of

MAX_SECONDS = 20.0
MAX_SYMBOLS = 100
"""Symbols of one hole that are looked at: beyond, nothing is said to be out of reach."""
MAX_CHARS = 200
"""Of a symbol."""
_NATIVE = (".so", ".pyd")


class Reach(StrEnum):
    """What can be said of a symbol."""

    REACHED = "reached"
    """Code that may run names it."""
    UNREACHED = "unreached"
    """Nothing that may run names it, or imports where it is."""
    UNKNOWN = "unknown"


class Found(msgspec.Struct, frozen=True):
    """What is said of symbols, and why."""

    reach: Reach
    why: str


class Symbols:
    """What a bundle's code comes to, read once."""

    def __init__(
        self, bundle: Path, manifest: BundleManifest, *, seconds: float = MAX_SECONDS
    ) -> None:
        """Read for so long at most."""
        self._bundle = bundle
        self._files = {file.path for file in manifest.files}
        self._until = time.monotonic() + seconds
        tops = {path.split("/")[1].removesuffix(".py") for path in self._files if "/" in path}
        self._standard = sys.stdlib_module_names - tops
        self._libraries = _libraries(self._files)
        self._sources: dict[str, Source] = {}
        self._unread = ""
        self._native: dict[str, bytes] = {}
        self._anywhere: dict[str, str] = {}
        """Names that may be of anything, and where each is first."""
        self._local: dict[tuple[str, str], str] = {}
        self._prefixes: dict[str, str] = {}
        self._ran: dict[tuple[str, str, str], str] = {}
        """Units that may run: file, class and name, and where each is."""
        self._names_made_up = ""
        self._imports_made_up = ""
        self._whole = self._load() and self._follow()

    # -- what is loaded ------------------------------------------------------------------------

    def _load(self) -> bool:
        """Read the files that imports lead to, wherever they stand. False: not all in time."""
        code = sorted(p for p in self._files if p.startswith("code/") and p.endswith(".py"))
        waiting, seen = deque(code), set(code)
        while waiting:
            if time.monotonic() > self._until:
                return False
            path = waiting.popleft()
            if path.endswith(_NATIVE):
                self._read_native(path)
                continue
            tree = parsed(self._bundle / path)
            if tree is None:
                self._unread = self._unread or path
                continue
            try:
                source = self._sources[path] = read(path, tree, self._standard)
            except RecursionError:  # one statement in another, some hundred times
                self._unread = self._unread or path
                continue
            texts = {text for unit in source.units for text in unit.texts}
            if path.endswith("/__init__.py"):
                # Whether somebody imports all of it is not asked.
                above = package_of(path)
                texts |= {f"{above}.{name}" for name in source.exported}
            for module in (*imports_in(tree, package_of(path)), *parts_of(texts)):
                for found in (*located(module, self._files), *self._libraries.get(module, ())):
                    if found not in seen:
                        seen.add(found)
                        waiting.append(found)
        return True

    def _read_native(self, path: str) -> None:
        try:
            with (self._bundle / path).open("rb") as file:
                self._native[path] = file.read(16 * MAX_FILE_BYTES)
        except OSError:
            self._unread = self._unread or path

    # -- what may run --------------------------------------------------------------------------

    def _follow(self) -> bool:
        """Go from unit to unit by what each names. False: not all in time."""
        idle: dict[str, dict[str, list[Unit]]] = {}
        """Units that nothing has named yet, by name and file."""
        waiting: deque[Unit] = deque()
        foreign = self._foreign()
        """Their methods may be called by a base."""
        for path, source in self._sources.items():
            for unit in source.units:
                if unit.always or path.startswith("code/") or unit.owner in foreign:
                    waiting.append(unit)
                else:
                    idle.setdefault(unit.name, {}).setdefault(path, []).append(unit)
        while waiting:
            if time.monotonic() > self._until:
                return False
            unit = waiting.popleft()
            self._ran.setdefault((unit.file, unit.owner, unit.name), f"{unit.file}:{unit.line}")
            for name in self._note_bare(unit):
                waiting.extend(idle.get(name, {}).pop(unit.file, ()))
            for name in (*self._note(unit), *_beginning(idle, unit.prefixes)):
                for units in idle.pop(name, {}).values():
                    waiting.extend(units)
        return True

    def _foreign(self) -> set[str]:
        """Return the classes that have a base, near or far, which is not of the bundle."""
        derived: dict[str, list[str]] = defaultdict(list)
        known: set[str] = set()
        for source in self._sources.values():
            for name, bases in source.bases.items():
                known.add(name)
                for base in bases:
                    derived[base].append(name)
        waiting = [base for base in derived if base not in known and base != "object"]
        found: set[str] = set()
        while waiting:
            for name in derived.get(waiting.pop(), ()):
                if name not in found:
                    found.add(name)
                    waiting.append(name)
        return found

    def _note_bare(self, unit: Unit) -> list[str]:
        """Keep what a unit names without a dot of its own module; return what is new."""
        defined, new = self._sources[unit.file].defined, []
        for name, line in unit.bare.items():
            if name in defined and (unit.file, name) not in self._local:
                self._local[unit.file, name] = f"{unit.file}:{line}"
                new.append(name)
        return new

    def _note(self, unit: Unit) -> list[str]:
        """Keep what a unit names that may be of another module; return names that are new."""
        imported, new = self._sources[unit.file].imported, []
        stars = any(
            name == "*" and module.partition(".")[0] not in self._standard
            for module, name in imported.values()
        )
        for name, line in unit.bare.items():
            module, original = imported.get(name, ("", ""))
            foreign = bool(original) and module.partition(".")[0] not in self._standard
            if foreign or (stars and not hasattr(builtins, name)):
                new += self._named(original or name, f"{unit.file}:{line}")
        for name, line in unit.anywhere.items():
            new += self._named(name, f"{unit.file}:{line}")
        for prefix in unit.prefixes:
            self._prefixes.setdefault(prefix, f"{unit.file}:{unit.line}")
        if unit.dynamic:
            self._names_made_up = self._names_made_up or f"{unit.dynamic} in {unit.file}"
        if unit.imports:
            self._imports_made_up = self._imports_made_up or f"{unit.imports} in {unit.file}"
        return new

    def _named(self, name: str, where: str) -> list[str]:
        if name in self._anywhere:
            return []
        self._anywhere[name] = where
        return [name]

    # -- what is asked -------------------------------------------------------------------------

    def of(self, symbols: Iterable[str], evidence: Evidence | None = None) -> Found:
        """Return what can be said of symbols together: reached, if one of them is.

        `evidence` are files that were seen loaded: what is in these is not out of reach.
        """
        wanted = list(dict.fromkeys(symbols))
        seen = set() if evidence is None else {p for e in evidence.packages for p in e.occurrences}
        found = [self._one(symbol, seen) for symbol in wanted[:MAX_SYMBOLS]]
        for reach in (Reach.REACHED, Reach.UNKNOWN):
            for each in found:
                if each.reach is reach:
                    return each
        if not found or len(wanted) > MAX_SYMBOLS:
            return Found(Reach.UNKNOWN, "the advisory names too many functions, or none")
        return found[0]

    def _one(self, symbol: str, seen: set[str]) -> Found:
        if len(symbol) > MAX_CHARS:
            return Found(Reach.UNKNOWN, "the advisory names something too long")
        files, rest = self._home(symbol)
        if not files:
            return Found(Reach.UNKNOWN, f"{symbol}, which the advisory names, is not there")
        loaded = [path for path in files if path in self._sources or path in self._native]
        if not loaded:
            return self._unloaded(symbol, files[0], seen)
        return self._loaded(symbol, rest, loaded)

    def _loaded(self, symbol: str, rest: list[str], loaded: list[str]) -> Found:
        """Return what can be said of a symbol whose module is loaded."""
        if not rest:
            return Found(Reach.REACHED, f"{symbol} is imported")
        place = self._place(rest, loaded)
        if place:
            return Found(Reach.REACHED, f"{symbol} is named in {place}")
        why = self._doubt(rest[-1])
        if not why and not all(map(self._is_defined, rest)):
            why = "no module that is loaded defines it"
        if why:
            return Found(Reach.UNKNOWN, f"whether {symbol} is called cannot be told: {why}")
        return Found(Reach.UNREACHED, f"nothing that may run names {symbol}")

    def _home(self, symbol: str) -> tuple[list[str], list[str]]:
        """Return the files of the longest module that a symbol begins with, and what is left."""
        parts = symbol.split(".")
        for count in range(len(parts), 0, -1):
            stem = "deps/" + "/".join(parts[:count])
            files = [p for p in (f"{stem}/__init__.py", f"{stem}.py") if p in self._files]
            files += sorted(
                p for p in self._files if p.startswith(f"{stem}.") and p.endswith(_NATIVE)
            )
            if files:
                return files, parts[count:]
        return [], []

    def _unloaded(self, symbol: str, path: str, seen: set[str]) -> Found:
        if path in seen:
            return Found(Reach.REACHED, f"{path} was seen loaded on the node")
        module = path.removeprefix("deps/").partition(".")[0].removesuffix("/__init__")
        native = self._in_native(module.rpartition("/")[2])
        why = "" if self._whole else "not all was read in time"
        why = why or (f"{self._unread} could not be read" if self._unread else "")
        why = why or (
            f"imports are made up by {self._imports_made_up}" * bool(self._imports_made_up)
        )
        why = why or (f"{native} may import it" if native else "")
        if why:
            return Found(Reach.UNKNOWN, f"whether {symbol} is loaded cannot be told: {why}")
        return Found(Reach.UNREACHED, f"{path} is not imported")

    def _place(self, rest: list[str], loaded: list[str]) -> str:
        """Return where a symbol is named by what may run, its class as well; empty: nowhere."""
        *owners, name = rest
        if name.startswith("__") and name.endswith("__") and owners:
            name = owners.pop()  # the interpreter calls it, of a class that is named
        files = self._definers(loaded, rest[0])
        for each in owners:
            if not self._where(each, files):
                return ""
        return self._where(name, files) or self._run(name, owners, files)

    def _definers(self, loaded: list[str], name: str) -> list[str]:
        """Return the files in which a name may be defined that these have."""
        for path in loaded:
            source = self._sources.get(path)
            if source is not None and not source.imported.keys().isdisjoint((name, "*")):
                return list(self._sources)
        return loaded

    def _where(self, name: str, files: list[str]) -> str:
        if name in self._anywhere:
            return self._anywhere[name]
        for prefix, where in self._prefixes.items():
            if name.startswith(prefix):
                return where
        return next((self._local[path, name] for path in files if (path, name) in self._local), "")

    def _run(self, name: str, owners: list[str], files: list[str]) -> str:
        """Return where a function is that may be called by who does not name it."""
        owner = owners[-1] if owners else ""
        return next(
            (self._ran[path, owner, name] for path in files if (path, owner, name) in self._ran), ""
        )

    def _is_defined(self, name: str) -> bool:
        return any(
            name in source.defined
            for path, source in self._sources.items()
            if path.startswith("deps/")
        )

    def _doubt(self, name: str) -> str:
        """Return why a name that nothing names may be called all the same."""
        if not self._whole:
            return "not all was read in time"
        if self._unread:
            return f"{self._unread} could not be read"
        if self._names_made_up:
            return f"names are made up by {self._names_made_up}"
        native = self._in_native(name)
        return f"{native} may call it" if native else ""

    def _in_native(self, name: str) -> str:
        """Return a loaded library of C that holds a name, or is too large to tell."""
        for path, data in self._native.items():
            if name.encode() in data or len(data) >= 16 * MAX_FILE_BYTES:
                return path
        return ""


def _beginning(names: Iterable[str], prefixes: Collection[str]) -> list[str]:
    return [name for name in names if name.startswith(tuple(prefixes))] if prefixes else []


def _libraries(files: Iterable[str]) -> dict[str, list[str]]:
    """Return the libraries of C among files by the dotted names that import them."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in files:
        if path.endswith(_NATIVE):
            folder, _, file = path.rpartition("/")
            module = f"{folder}/{file.partition('.')[0]}".partition("/")[2]
            found[module.replace("/", ".")].append(path)
    return found


def reach_of(
    symbols: Mapping[str, Iterable[str]],
    bundle: Path,
    manifest: BundleManifest,
    evidence: Evidence | None = None,
) -> dict[str, Found]:
    """Return what can be said of each hole's symbols, by its id; of those that name any."""
    named = {id: tuple(each) for id, each in symbols.items()}
    if not any(named.values()):
        return {}
    known = Symbols(bundle, manifest)
    return {id: known.of(each, evidence) for id, each in named.items() if each}
