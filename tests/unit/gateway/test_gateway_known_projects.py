"""A loss of a project's data is accepted as a whole, however often the start is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from casemate.data import DataGoneError
from casemate.gateway.known_projects import KnownProjects
from casemate.store.sqlite.store import SqliteStore

KEY = bytes(range(32))
LOST = frozenset({"p"})


class KilledError(Exception):
    """Stands for the end of the process."""


def test_what_is_left_of_a_lost_project_is_set_aside_before_it_is_forgotten(
    tmp_path: Path,
) -> None:
    """Before: forgotten first. What was left then stayed in the way, whatever was accepted."""

    async def run() -> None:
        store = SqliteStore.open(tmp_path / "s", key=KEY)
        aside: list[str] = []

        def die(_project: str) -> None:
            raise KilledError

        await KnownProjects(store).require(lambda: ["p", "q"])
        with pytest.raises(KilledError):
            await KnownProjects(store).require(lambda: ["q"], LOST, die)
        with pytest.raises(DataGoneError, match="data/p"):
            await KnownProjects(store).require(lambda: ["q"])
        with pytest.raises(DataGoneError, match="q"):
            await KnownProjects(store).require(tuple, LOST, aside.append)
        assert aside == [], "it says that nothing was changed"
        await KnownProjects(store).require(lambda: ["q"], LOST, aside.append)
        assert aside == ["p"]
        await KnownProjects(store).require(lambda: ["q"])
        # A release before may have forgotten it, and left what there was.
        await KnownProjects(store).require(lambda: ["q"], LOST, aside.append)
        assert aside == ["p", "p"]
        await KnownProjects(store).require(lambda: ["p", "q"], LOST, aside.append)
        assert aside == ["p", "p"], "it has a database"
        await store.close()

    asyncio.run(run())
