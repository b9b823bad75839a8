"""Projects that are moved between databases: all of it, served by one of them, whatever dies."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "data"))

from data_placed import MAIN, WEST, PlacedNodes, play
from data_support import RESOURCES, end_of

from casemate.data import DataBusyError, DataError, Fate, NewMessage
from casemate.data.postgresql.moving import Move, away_of
from casemate.data.postgresql.placements import Placement
from casemate.gateway.project_moves import ProjectMoves
from casemate.model.errors import ConflictError, NotFoundError
from support.data_calls import CalledPlacedData
from support.database import Server


async def filled(nodes: PlacedNodes, where: str = MAIN) -> tuple[CalledPlacedData, ProjectMoves]:
    """Return a node with a project that has some of everything, and what moves it."""
    one = await nodes.open("one")
    await nodes.places.place("p", where)
    await one.ensure("p", RESOURCES)
    for number in range(30):
        await one.put_item("p", "sorted", {"id": "a", "at": number, "colour": "red", "size": 1})
    await one.put_object("p", "files", "small", b"small")
    await one.put_object("p", "files", "large", b"large" * 100_000)
    await one.send_many("p", "queue", "jobs", [NewMessage(body=b"%d" % n) for n in range(5)])
    return one, ProjectMoves(nodes.places, one)


async def as_it_was(node: CalledPlacedData) -> None:
    page = await node.query_items("p", "sorted", "a", limit=100)
    assert [item.value["at"] for item in page.items] == list(range(30))
    red = await node.query_items("p", "sorted", "red", index="by-colour", limit=100)
    assert len(red.items) == 30
    assert (await node.get_object("p", "files", "small"))[1] == b"small"
    assert (await node.head_object("p", "files", "large")).size == 500_000
    assert (await node.queue_info("p", "queue", "jobs")).waiting == 5


async def goes_on(node: CalledPlacedData) -> None:
    """Numbers go on, counts are right, and what is leased is settled."""
    await node.put_item("p", "sorted", {"id": "b", "at": 1})
    await node.put_object("p", "files", "new", b"n")
    await node.send_many("p", "queue", "jobs", [NewMessage(body=b"5")])
    found = await node.lease("p", "queue", "jobs", limit=10, lease=60.0)
    assert [message.body for message in found] == [b"%d" % number for number in range(6)]
    ends = [end_of(message, Fate.DONE) for message in found]
    assert await node.settle("p", "queue", "jobs", ends) == 6
    assert (await node.queue_info("p", "queue", "jobs")).waiting == 0


def test_all_of_a_project_is_moved_and_nothing_is_left(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one, moves = await filled(nodes)
        leased = await one.lease("p", "queue", "jobs", limit=1, lease=60.0)
        other = await nodes.open("other")
        await as_it_was(other)
        place = await moves.place("p", WEST)
        assert (place.database, place.moving_to, place.moves) == (WEST, "", 1)
        await one.settle("p", "queue", "jobs", [end_of(leased[0], Fate.RETRY)])
        for node in (one, other):
            await as_it_was(node)
        await goes_on(other)
        left = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(p_|away)'"
        assert nodes.sql(MAIN, left) == []
        assert one.projects() == other.projects() == ["p"]
        assert (await moves.place("p", WEST)).moves == 1
        assert (await moves.place("p", MAIN)).moves == 2
        assert (await one.get_item("p", "sorted", "b", sort=1)).value["at"] == 1
        # A node that was not there meanwhile remembers nothing of it that would be wrong.
        await other.close()
        again = await nodes.open("other")
        assert (await again.get_item("p", "sorted", "b", sort=1)).value["at"] == 1

    play(postgresql_server, tmp_path, scene, 60)


STEPS = ("close_origin", "copy", "drop_origin")
QUICK = (("copy", True, True),)
"""What a default run tries of all steps at which somebody may die."""


@pytest.mark.parametrize(
    ("step", "after", "back"),
    [
        pytest.param(
            *each,
            id=f"{each[0]}-{'after' if each[1] else 'before'}-{'back' if each[2] else 'on'}",
            marks=() if each in QUICK else pytest.mark.storm,
        )
        for each in itertools.product(STEPS, (False, True), (False, True))
    ],
)
def test_who_dies_at_a_step_leaves_one_that_is_served_and_goes_on(
    step: str,
    after: bool,
    back: bool,
    postgresql_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one, moves = await filled(nodes)
        do = getattr(Move, step)

        def dies(move: Move) -> None:
            if after:
                do(move)
            raise RuntimeError("killed")

        with monkeypatch.context() as patched:
            patched.setattr(Move, step, dies)
            with pytest.raises(RuntimeError):
                await moves.place("p", WEST)
        other = await nodes.open("other")
        if step == "drop_origin":
            await as_it_was(other)
        else:
            for node in (one, other):
                with pytest.raises(DataBusyError, match="is being moved from the database main"):
                    await node.get_item("p", "sorted", "a", sort=1)
            assert other.projects() == ["p"]
            assert [(d.name, d.moving) for d in other.databases()] == [(MAIN, 1), (WEST, 0)]
        second = ProjectMoves(nodes.places, other)
        place = await second.place("p", MAIN if back else WEST)
        assert (place.database, place.moving_to) == (MAIN if back else WEST, "")
        for node in (one, other):
            await as_it_was(node)
        await goes_on(one)
        # The same again is found to be done; and what was tried first does no harm any more.
        assert await second.place("p", place.database) == place
        assert (await second.place("p", MAIN if place.database == WEST else WEST)).moving_to == ""

    play(postgresql_server, tmp_path, scene, 60)


def test_who_wakes_up_late_changes_nothing(postgresql_server: Server, tmp_path: Path) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one, moves = await filled(nodes)
        late = one.move_of("p", 0, "0" * 12, MAIN, WEST)
        await moves.place("p", WEST)
        await moves.place("p", MAIN)
        await as_it_was(one)
        steps: list[Callable[[], Any]] = [late.close_origin, late.copy, late.reopen_origin]
        for step in steps:
            with pytest.raises(DataError, match="moved by somebody else meanwhile"):
                await asyncio.to_thread(step)
        await asyncio.to_thread(late.drop_origin)
        await as_it_was(one)
        await goes_on(one)

    play(postgresql_server, tmp_path, scene, 60)


@pytest.mark.storm
def test_two_nodes_that_move_at_once_and_one_that_takes_it_back(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one, moves = await filled(nodes)
        other = await nodes.open("other")
        rivals = [moves, ProjectMoves(nodes.places, other)]
        for turn in range(3):
            wanted = [WEST, MAIN] if turn % 2 else [WEST, WEST]
            await asyncio.gather(
                *(r.place("p", w) for r, w in zip(rivals, wanted, strict=True)),
                return_exceptions=True,
            )
            for where in (WEST, MAIN):  # whatever has come of it, it can be had anywhere
                assert (await moves.place("p", where)).database == where
                await as_it_was(one)
                await as_it_was(other)
        await goes_on(other)

    play(postgresql_server, tmp_path, scene, 60)


def test_what_is_acknowledged_while_it_is_moved_is_there_afterwards(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one, moves = await filled(nodes)
        other = await nodes.open("other")
        kept: list[int] = []
        over = False

        async def write(node: CalledPlacedData, first: int) -> None:
            number = first
            while not over:
                try:
                    await node.put_item("p", "plain", {"id": str(number)})
                except (DataError, NotFoundError):
                    await asyncio.sleep(0.01)
                else:
                    kept.append(number)
                number += 1
                await asyncio.sleep(0)

        writers = [
            asyncio.ensure_future(write(node, at)) for node, at in ((one, 0), (other, 10**6))
        ]
        for where in (WEST, MAIN, WEST):
            await asyncio.sleep(0.1)
            await moves.place("p", where)
        over = True
        await asyncio.gather(*writers)
        assert len(kept) > 20
        for number in kept:
            assert (await one.get_item("p", "plain", str(number))).value == {"id": str(number)}

    play(postgresql_server, tmp_path, scene, 60)


@pytest.mark.storm
def test_a_project_without_data_is_only_placed(postgresql_server: Server, tmp_path: Path) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one = await nodes.open()
        moves = ProjectMoves(nodes.places, one)
        with pytest.raises(NotFoundError, match="There is no database 'east'"):
            await moves.place("p", "east")
        assert nodes.places.known == {}
        assert (await moves.place("p", WEST)).moves == 0
        assert (await moves.place("p", MAIN)).moves == 1
        await one.ensure("p", RESOURCES)
        await one.put_item("p", "plain", {"id": "a"})
        assert (await moves.place("p", WEST)).moves == 2
        assert (await one.get_item("p", "plain", "a")).value == {"id": "a"}

    play(postgresql_server, tmp_path, scene, 60)


@pytest.mark.storm
def test_to_a_third_one_it_is_moved_only_when_it_is_somewhere(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        east = nodes.server.url(nodes.server.database())
        one = await nodes.open(urls={**nodes.urls, "east": east})
        await nodes.places.place("p", MAIN)
        await nodes.places.change("p", lambda _: Placement(MAIN, 0, "east"))
        with pytest.raises(ConflictError, match="is being moved to east"):
            await ProjectMoves(nodes.places, one).place("p", WEST)

    play(postgresql_server, tmp_path, scene)


def test_what_was_copied_wrongly_is_not_served(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one, moves = await filled(nodes)
        with monkeypatch.context() as patched:
            patched.setattr("casemate.data.postgresql.moving.digest_of", lambda *_: "another")
            with pytest.raises(DataError, match="is not what is there"):
                await moves.place("p", WEST)
        assert moves.faults() == (
            "project p: What was copied of the project p is not what is there.",
        )
        assert nodes.sql(WEST, "SELECT * FROM casemate_projects.project") == []
        await moves.place("p", MAIN)
        await as_it_was(one)
        assert moves.faults() == ()

    play(postgresql_server, tmp_path, scene)


@pytest.mark.storm
def test_what_an_earlier_history_has_left_is_not_taken_for_the_project(
    postgresql_server: Server, tmp_path: Path
) -> None:
    """The control store and `main` are put back to before a move: the number comes again."""

    async def scene(nodes: PlacedNodes) -> None:
        one, moves = await filled(nodes)
        before = dict(nodes.values.values)
        await moves.place("p", WEST)
        await moves.place("p", MAIN)
        # As if only the first move had been, and then `main` had been put back to before it.
        schema = nodes.sql(MAIN, "SELECT schema FROM casemate_projects.project")[0][0]
        await one.close()
        nodes.values.values = before
        nodes.sql(MAIN, f"ALTER SCHEMA {schema} RENAME TO p_p")
        nodes.sql(MAIN, "UPDATE casemate_projects.project SET schema = 'p_p', moves = 0")
        nodes.sql(WEST, "UPDATE casemate_projects.project SET moves = 1")
        again = await nodes.open("one")
        await again.put_item("p", "plain", {"id": "new"})
        with pytest.raises(DataError, match="or the control store was put back"):
            await ProjectMoves(nodes.places, again).place("p", WEST)
        assert (await ProjectMoves(nodes.places, again).place("p", MAIN)).database == MAIN
        assert (await again.get_item("p", "plain", "new")).value == {"id": "new"}

    play(postgresql_server, tmp_path, scene, 60)


def test_the_name_of_what_is_away_is_a_schema() -> None:
    assert len(away_of("p" * 63, 10**9)) <= 63
