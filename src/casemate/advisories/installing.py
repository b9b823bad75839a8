"""What installing asks of advisories: what is an attack, and what mends a hole.

Where there are none, or they cannot be read, nothing is known: nothing is exempt from waiting, and
no attack is seen here. That this is so is told by `standing`, and at the gate.
"""

from __future__ import annotations

import threading
from pathlib import Path

from casemate.advisories.database import Database
from casemate.advisories.entry import Block
from casemate.advisories.errors import (
    DatabaseMissingError,
    DatabaseUnreadableError,
)
from casemate.advisories.judging import Judge
from casemate.advisories.packages import Ecosystem, Package
from casemate.advisories.place import Place
from casemate.advisories.ranges import Kind
from casemate.advisories.versions import canonical


class KnownHoles:
    """The advisories of a place, asked about releases on PyPI. Several threads may ask."""

    def __init__(self, place: Place) -> None:
        """Ask those in `place`, which is opened at the first question."""
        self._path: Path = place.database
        self._lock = threading.Lock()
        self._opened = False
        self._database: Database | None = None
        self._judge: Judge | None = None
        self._blocks: dict[str, Block | None] = {}

    def __enter__(self) -> KnownHoles:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database."""
        with self._lock:
            if self._database is not None:
                self._database.close()
            self._database, self._judge, self._opened = None, None, True

    def malicious(self, package: str, version: str) -> str | None:
        """Return the id of the record that says a release is an attack."""
        asked = Package(ecosystem=Ecosystem.PYPI, name=package, version=version)
        with self._lock:
            block = self._block(package)
            if block is None or self._judge is None:
                return None
            if not any(entry.malicious for entry in block.entries):
                return None
            try:
                findings, _ = self._judge.judge([asked])
            except DatabaseUnreadableError:
                return None
            return next((each.id for each in findings if each.malicious), None)

    def mends(self, package: str, version: str) -> str | None:
        """Return the id of a hole that a release is the first to be without."""
        with self._lock:
            block = self._block(package)
        wanted = canonical(Ecosystem.PYPI, version)
        for entry in block.entries if block is not None else ():
            if entry.malicious:
                continue
            for events in entry.ranges:
                for kind, text in events:
                    if kind == Kind.FIXED and canonical(Ecosystem.PYPI, text) == wanted:
                        return entry.id
        return None

    def _block(self, package: str) -> Block | None:
        if not self._opened:
            self._opened = True
            try:
                self._database = Database(self._path)
                self._judge = Judge(self._database)
            except (DatabaseMissingError, DatabaseUnreadableError):
                return None
        if self._database is None:
            return None
        if package not in self._blocks:
            try:
                self._blocks[package] = self._database.block(Ecosystem.PYPI, package)
            except DatabaseUnreadableError:
                self._blocks[package] = None
        return self._blocks[package]
