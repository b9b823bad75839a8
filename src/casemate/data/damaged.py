"""Objects that reads have found damaged, until they are as they should be again."""

from __future__ import annotations

import threading
from collections.abc import Collection
from types import TracebackType
from typing import NamedTuple

from casemate.data.errors import DataCorruptError

MAX_NOTED = 100
"""Reads of one project: it is not well with one of them, and `casemate check` finds all."""


class Reading(NamedTuple):
    """What was asked for."""

    bucket: str
    key: str
    revision: int | None
    offset: int
    length: int | None


class DamagedObjects:
    """Those of one node's projects. Any thread may use it."""

    def __init__(self) -> None:
        """Know of none yet."""
        self._lock = threading.Lock()
        self._noted: dict[str, dict[Reading, str]] = {}

    def noting(self, project: str, reading: Reading) -> Noting:
        """Return what notes it, around a read, if what is read is damaged."""
        return Noting(self, project, reading)

    def note(self, project: str, reading: Reading, why: str) -> None:
        """Note that what was asked for is damaged."""
        with self._lock:
            noted = self._noted.setdefault(project, {})
            if len(noted) < MAX_NOTED:
                noted[reading] = why

    def read(self, project: str, reading: Reading) -> None:
        """Forget what could not be read before: it was read now."""
        if project in self._noted:
            with self._lock:
                self._noted.get(project, {}).pop(reading, None)

    def changed(self, project: str, bucket: str, key: str | None = None) -> None:
        """Forget an object that was written or deleted, or all of a bucket that was dropped."""
        if project in self._noted:
            self._forget(
                project,
                [
                    each
                    for each in self.noted(project)
                    if each.bucket == bucket and key in (None, each.key)
                ],
            )

    def left(self, project: str) -> None:
        """Forget a project, whose data is elsewhere now."""
        with self._lock:
            self._noted.pop(project, None)

    def noted(self, project: str) -> tuple[Reading, ...]:
        """Return what is known of a project."""
        with self._lock:
            return tuple(self._noted.get(project, ()))

    def checked(
        self, project: str, before: Collection[Reading], damaged: Collection[tuple[str, str]]
    ) -> None:
        """Forget what was noted `before` a check that has looked at all objects of a project.

        Kept is what the check has found to be `damaged`, by bucket and key.
        """
        self._forget(project, [r for r in before if (r.bucket, r.key) not in damaged])

    def _forget(self, project: str, readings: Collection[Reading]) -> None:
        with self._lock:
            noted = self._noted.get(project, {})
            for reading in readings:
                noted.pop(reading, None)
            if not noted:
                self._noted.pop(project, None)

    def faults(self) -> dict[str, str]:
        """Return what is wrong with which project, in words without keys, which are content."""
        found = dict[str, str]()
        with self._lock:
            for project, noted in self._noted.items():
                buckets: dict[str, tuple[set[str], str]] = {}
                for reading, why in noted.items():
                    buckets.setdefault(reading.bucket, (set(), why))[0].add(reading.key)
                told = [
                    f"{len(keys)} objects of bucket {bucket} could not be read: {why}"
                    if len(keys) > 1
                    else f"an object of bucket {bucket} could not be read: {why}"
                    for bucket, (keys, why) in sorted(buckets.items())
                ]
                if told:
                    found[project] = "; ".join(told)
        return found


class Noting:
    """Made by `DamagedObjects.noting` only."""

    __slots__ = ("_damaged", "_project", "_reading")

    def __init__(self, damaged: DamagedObjects, project: str, reading: Reading) -> None:
        self._damaged = damaged
        self._project = project
        self._reading = reading

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, DataCorruptError):
            self._damaged.note(self._project, self._reading, error.message)
