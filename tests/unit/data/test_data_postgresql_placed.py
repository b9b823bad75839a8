"""Several databases: each project is in one, and what is not what it is to be is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from data_placed import MAIN, WEST, PlacedNodes, Values, play
from data_support import RESOURCES, end_of

from casemate.data import DataError, DataForeignError, DataMediumError, Fate, NewMessage
from casemate.data.coordination import SCHEDULES
from casemate.data.postgresql.placements import Placement
from casemate.gateway.project_places import ProjectPlaces
from casemate.model.errors import ConflictError, NotFoundError
from casemate.model.grant import Resources
from casemate.model.messages import Subscription
from casemate.postgresql.fence import Fence
from support.data_calls import operation
from support.database import Server
from support.waiting import until

ITEM = {"id": "a", "n": 1}


def test_a_new_project_goes_where_the_fewest_are_and_its_data_nowhere_else(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one, other = await nodes.open("one"), await nodes.open("other")
        for project in ("a", "b", "c"):
            await one.ensure(project, RESOURCES)
            await one.put_item(project, "plain", {**ITEM, "of": project})
        assert {name: where.database for name, where in nodes.places.known.items()} == {}
        for project in ("a", "b", "c"):  # the other one learns where they are
            assert (await other.get_item(project, "plain", "a")).value["of"] == project
        assert {name: where.database for name, where in nodes.places.known.items()} == {
            "a": MAIN, "b": WEST, "c": MAIN
        }  # fmt: skip
        kept = "SELECT name FROM casemate_projects.project ORDER BY name"
        assert nodes.sql(MAIN, kept) == [("a",), ("c",)]
        assert nodes.sql(WEST, kept) == [("b",)]
        await one.send_many("b", "queue", "jobs", [NewMessage(body=b"1")])
        assert await other.purge("b", "queue", "jobs") == 1
        assert other.projects() == ["a", "b", "c"]
        assert set(other.sizes()) == {"a", "b", "c"}
        assert [(one.name, one.projects, one.problem) for one in other.databases()] == [
            (MAIN, 2, ""), (WEST, 1, "")
        ]  # fmt: skip

    play(postgresql_server, tmp_path, scene)


def test_a_project_that_only_has_functions_is_placed_and_events_ask_no_more(
    postgresql_server: Server, tmp_path: Path
) -> None:
    """Each event asked the control store where the project lives, one after the other."""

    async def scene(nodes: PlacedNodes) -> None:
        one = await nodes.open()
        await one.ensure("first", RESOURCES)
        await one.subscribe("p", [Subscription(function="f", trigger=None)])
        assert nodes.places.known["p"] == Placement(WEST)
        nodes.values.asked = 0
        for number in range(5):
            await one.send_many("p", "inbox", "f", [NewMessage(body=b"%d" % number)])
            (found,) = await one.lease("p", "inbox", "f", limit=1, lease=60.0)
            assert await one.settle("p", "inbox", "f", [end_of(found, Fate.DONE)]) == 1
        assert nodes.values.asked == 0
        await one.subscribe("nobody", [])
        assert "nobody" not in nodes.places.known

    play(postgresql_server, tmp_path, scene)


def test_nothing_is_placed_by_who_only_asks(postgresql_server: Server, tmp_path: Path) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one = await nodes.open()
        with pytest.raises(NotFoundError):
            await one.get_item("nobody", "plain", "a")
        with pytest.raises(NotFoundError):
            await one.put_item("nobody", "plain", ITEM)
        await one.ensure("nobody", Resources())
        assert nodes.places.known == {}
        assert not [name for name in nodes.values.values if name.startswith("places")]

    play(postgresql_server, tmp_path, scene)


def test_of_two_nodes_that_make_a_project_at_once_one_says_where(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one, other = await nodes.open("one"), await nodes.open("other")
        names = [f"p{number}" for number in range(4)]
        await asyncio.gather(*(node.ensure(n, RESOURCES) for n in names for node in (one, other)))
        everywhere = [
            name
            for where in (MAIN, WEST)
            for (name,) in nodes.sql(where, "SELECT name FROM casemate_projects.project")
        ]
        assert sorted(everywhere) == names

    play(postgresql_server, tmp_path, scene)


def test_what_a_former_release_has_made_stays_where_it_is(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        alone = await nodes.open("one", {MAIN: nodes.urls[MAIN]})
        await alone.ensure("old", RESOURCES)
        await alone.close()
        nodes.values = Values()  # it knew nothing of places
        one = await nodes.open("one")
        await nodes.places.place("other", MAIN)
        await one.ensure("old", RESOURCES)
        assert nodes.places.known["old"] == Placement(MAIN)

    play(postgresql_server, tmp_path, scene)


def swapped(nodes: PlacedNodes) -> dict[str, str]:
    return {MAIN: nodes.urls[WEST], WEST: nodes.urls[MAIN]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (swapped, "given as main is the database west"),
        (lambda n: {**n.urls, WEST: n.urls[MAIN]}, "given as west is the database main"),
        (lambda n: {**n.urls, "east": n.urls[WEST]}, "given as east is the database west"),
        (lambda n: {**n.urls, WEST: n.server.url(n.server.database())}, "given as west is empty"),
    ],
    ids=["swapped", "the main one twice", "one twice", "an empty one"],
)
def test_a_url_of_another_database_is_refused_by_name(
    given, said: str, postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        fences = {name: Fence() for name in (MAIN, WEST, "east")}
        one = await nodes.open(fences=fences)
        await nodes.places.place("p", WEST)
        await one.ensure("p", RESOURCES)
        await one.close()
        before = dict(nodes.values.values)
        with pytest.raises(DataForeignError, match=said):
            await nodes.open(urls=given(nodes), fences=fences)  # that node, and a new one
        with pytest.raises(DataForeignError, match=said):
            await nodes.open(urls=given(nodes))
        left = {name: value for name, value in nodes.values.values.items() if name in before}
        assert {**left, "databases of projects": before["databases of projects"]} == before
        # With the right ones all is as it was, whatever was tried.
        again = await nodes.open(fences=fences)
        assert (await again.resources("p")).tables == RESOURCES.tables

    play(postgresql_server, tmp_path, scene)


def test_a_node_that_was_not_told_of_a_database_with_projects_is_refused(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        main = {MAIN: nodes.urls[MAIN]}
        early = await nodes.open("early", main)  # told of nothing yet
        told = nodes.places
        one = await nodes.open("one")
        await (await nodes.open("two", main)).close()  # no project lives there
        await nodes.places.place("p", WEST)
        await one.ensure("p", RESOURCES)
        with pytest.raises(ConflictError, match="live in the databases west as well"):
            await nodes.open("two", main)
        with pytest.raises(DataMediumError, match="lives in the database west, of which this node"):
            await early.get_item("p", "plain", "a")
        assert told.known["p"].database == WEST
        assert early.projects() == ["p"]

    play(postgresql_server, tmp_path, scene)


def test_the_database_of_another_cluster_is_refused(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one = await nodes.open(cluster="another")
        await one.close()
        nodes.values = Values()
        with pytest.raises(DataForeignError, match="of the cluster 'another'"):
            await nodes.open()

    play(postgresql_server, tmp_path, scene)


@pytest.mark.parametrize("moves", [1, 3])
def test_a_project_that_has_moved_is_not_taken_from_where_it_was(
    moves: int, postgresql_server: Server, tmp_path: Path
) -> None:
    """A database that was put back has the project of before; so has a row that was forged."""

    async def scene(nodes: PlacedNodes) -> None:
        one = await nodes.open()
        await nodes.places.place("p", WEST)
        await one.ensure("p", RESOURCES)
        await one.close()
        await nodes.places.change("p", lambda found: Placement(WEST, 2))
        nodes.sql(WEST, f"UPDATE casemate_projects.project SET moves = {moves}")
        again = await nodes.open()
        with pytest.raises(DataForeignError, match=f"has moved 2 times, and {moves} times by what"):
            await again.get_item("p", "plain", "a")
        assert again.projects() == []
        nodes.sql(WEST, "DELETE FROM casemate_projects.project")
        with pytest.raises(DataForeignError, match="is gone from the database west"):
            await again.ensure("p", RESOURCES)

    play(postgresql_server, tmp_path, scene)


def test_a_row_in_the_wrong_database_makes_no_project(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one = await nodes.open()
        await nodes.places.place("p", WEST)
        await one.ensure("p", RESOURCES)
        await one.put_item("p", "plain", ITEM)
        nodes.sql(MAIN, "INSERT INTO casemate_projects.project VALUES ('p', 'p_p', 0)")
        again = await nodes.open("again")
        assert (await again.get_item("p", "plain", "a")).value == ITEM
        assert again._main.projects() == []
        with pytest.raises(DataError, match="does not live in the database main"):
            await again._main.read(operation("get_item", "p", "plain", "a"))

    play(postgresql_server, tmp_path, scene)


def test_places_that_cannot_be_read_are_refused(postgresql_server: Server, tmp_path: Path) -> None:
    async def run() -> None:
        values = Values()
        values.values["places of projects 3"] = b'{"p":["west",0,"","",1,2]}'
        with pytest.raises(Exception, match="in a form that is not known"):
            await ProjectPlaces(values).load()  # type: ignore[arg-type]

    asyncio.run(run())


def test_a_database_that_is_away_stops_its_own_projects_alone(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: PlacedNodes) -> None:
        one = await nodes.open()
        for project, where in (("p", MAIN), ("q", WEST)):
            await nodes.places.place(project, where)
            await one.ensure(project, RESOURCES)
            await one.put_item(project, "plain", ITEM)
        one.coordination.follow(["p", "q"])
        one.coordination.seek(SCHEDULES, ["p", "q"])
        await until(lambda: all(one.coordination.leads(SCHEDULES, p) for p in "pq"))
        try:
            nodes.take_away(WEST)
            with pytest.raises(DataMediumError):
                await one.put_item("q", "plain", ITEM)
            await one.put_item("p", "plain", ITEM)
            await until(lambda: one.databases()[1].problem)
            assert one.databases()[0].problem == ""
            assert one.sizes().keys() == {"p"}
            await one.ensure("new", RESOURCES)  # placed where somebody is
            assert nodes.places.known["new"].database == MAIN
            one._databases[WEST].data.coordination._among.until = 0.0  # as after some seconds
            assert one.coordination.refusal("q") and not one.coordination.refusal("p")
            assert not one.coordination.leads(SCHEDULES, "q")
            assert one.coordination.leads(SCHEDULES, "p")
            # A start without it, as of a node that is upgraded meanwhile.
            again = await nodes.open("again")
            assert again.projects() == ["new", "p", "q"]
            assert (await again.get_item("p", "plain", "a")).value == ITEM
            with pytest.raises(DataMediumError, match="The database west, in which the project"):
                await again.get_item("q", "plain", "a")
            assert again.coordination.share("q", "f", 3) == 0
            assert again.coordination.refusal("q")
            told: list[tuple[str, str, str]] = []
            again.watch(lambda *place: told.append(place))
        finally:
            nodes.bring_back(WEST)
        await until(lambda: not again.databases()[1].problem)
        assert (await again.get_item("q", "plain", "a")).value == ITEM
        await again.send_many("q", "queue", "jobs", [NewMessage(body=b"1")])
        await until(lambda: ("q", "queue", "jobs") in told)
        await until(lambda: not one.databases()[1].problem)
        assert (await one.get_item("q", "plain", "a")).value == ITEM

    play(postgresql_server, tmp_path, scene)


def test_a_database_that_was_put_back_is_refused_and_the_others_go_on(
    postgresql_server: Server, tmp_path: Path
) -> None:
    """By what this node was told: a lost commit of one database says nothing of another."""

    async def scene(nodes: PlacedNodes) -> None:
        fences = {name: Fence(tmp_path / f"{name}.fence") for name in (MAIN, WEST)}
        one = await nodes.open(fences=fences)
        for project, where in (("p", MAIN), ("q", WEST)):
            await nodes.places.place(project, where)
            await one.ensure(project, RESOURCES)
            await one.put_item(project, "plain", ITEM)
        await one.close()
        for fence in fences.values():
            fence.close()
        for schema in ("p_q", "casemate_projects"):  # of another life of the server
            nodes.sql(WEST, f"UPDATE {schema}.casemate_life SET life = '\\x00'")
        fences = {name: Fence(tmp_path / f"{name}.fence") for name in (MAIN, WEST)}
        again = await nodes.open(fences=fences)
        assert (await again.get_item("p", "plain", "a")).value == ITEM
        loss = fences[WEST].loss
        with pytest.raises(DataMediumError, match=r"in which the project.*lacks what was"):
            await again.get_item("q", "plain", "a")
        assert "lacks what was acknowledged" in again.databases()[1].problem
        await again.close()
        for fence in fences.values():
            fence.close()
        fences = {name: Fence(tmp_path / f"{name}.fence", [loss]) for name in (MAIN, WEST)}
        taken = await nodes.open(fences=fences)
        assert (await taken.get_item("q", "plain", "a")).value == ITEM

    play(postgresql_server, tmp_path, scene)
