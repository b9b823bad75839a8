"""Takes a database that was compiled elsewhere: all of it is checked, or nothing is taken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from casemate.advisories import limits
from casemate.advisories.database import Database, Header
from casemate.advisories.errors import (
    AdvisoriesError,
    DatabaseMissingError,
    DatabaseUnreadableError,
    OlderError,
    SourceError,
)
from casemate.advisories.place import Place, give
from casemate.kernel.durability import sync_folder


def receive(
    file: Path,
    place: Place,
    now: float,
    *,
    fewer: bool = False,
    pause: Callable[[], None] = lambda: None,
) -> Header:
    """Put a database in the place of what is in force, and return what is known of it.

    Its age counts from when it was read from its source, not from now. Raises SourceError for what
    is damaged, OlderError for one that is older than what is in force, has far fewer records, or
    was made in the future, BusyError if another import runs.
    """
    try:
        with Database(file) as database:
            database.check(pause)
            header = database.header
    except (DatabaseUnreadableError, DatabaseMissingError) as error:
        raise SourceError(
            "What was sent is not a database of advisories, or is damaged.",
            next_step="Import them again: casemate advisories import SOURCE --node",
        ) from error
    with place.importing():
        _require_newer(header, _in_force(place), now, fewer=fewer)
        give(file, like=place.folder)
        file.chmod(0o600)
        file.replace(place.database)
        sync_folder(place.folder)
        place.forget_attempt()
    return header


def _in_force(place: Place) -> Header | None:
    try:
        with Database(place.database) as database:
            return database.header
    except AdvisoriesError:
        return None


def _require_newer(header: Header, before: Header | None, now: float, *, fewer: bool) -> None:
    if header.imported > now + limits.CLOCK_SLACK:
        raise OlderError(
            "The advisories were imported in the future.", next_step="Look at both clocks."
        )
    if before is None:
        return
    slack = limits.CLOCK_SLACK
    if header.imported < before.imported - slack or (header.newest < before.newest and not fewer):
        raise OlderError(
            "The advisories are older than those that are in force, which stay.",
            next_step="Import newer ones; --fewer takes what has an older newest record.",
        )
    for name, held in before.records.items():
        if header.records.get(name, 0) < held / 2 and not fewer:
            raise OlderError(
                f"There are {header.records.get(name, 0)} records about {name}, and {held} are in "
                "force, which stay.",
                next_step="Check the source; --fewer accepts it as it is.",
            )
