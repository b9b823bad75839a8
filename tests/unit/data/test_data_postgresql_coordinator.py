"""Nodes that share a database: hints, who is there, who leads, and what becomes of who is gone."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from data_nodes import RESOURCES, Nodes, play
from data_support import end_of

from casemate.data import DataLockedError, Fate, Lease, NewMessage
from casemate.data.coordination import SCHEDULES, SOURCES, Watcher
from casemate.data.postgresql import among, clock, coordinator, hints, leading
from casemate.data.postgresql.among import Among, Living, first, part
from casemate.data.postgresql.hints import CHANNEL, MOST_LATER, MOST_WAITING, Heard, Hints, heard
from casemate.data.terms import Holder
from casemate.postgresql.listening import MAX_TOLD
from support.data_calls import CalledSharedData
from support.database import Server
from support.waiting import until

BODY = b'"what nobody else may see"'
PLACE = ("p", "queue", "jobs")
TURNS = int(os.environ.get("CASEMATE_STORM_TURNS", "40"))


async def two(nodes: Nodes) -> tuple[CalledSharedData, CalledSharedData, list[Any]]:
    """Return two nodes that know of each other, and what the second is told of."""
    one, other = await nodes.open("one"), await nodes.open("other")
    await one.ensure("p", RESOURCES)
    told: list[Any] = []
    for node in (one, other):
        node.coordination.follow(["p"])
    other.watch(lambda *place: told.append(place))
    await until(lambda: not one.coordination._seen.is_alone)
    return one, other, told


async def send(node: CalledSharedData, body: bytes = BODY, **changes: Any) -> None:
    await node.send_many("p", "queue", "jobs", [NewMessage(body=body, **changes)])


def connections(nodes: Nodes) -> list[int]:
    return [
        int(str(pid))
        for (pid,) in nodes.sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND query LIKE '%node%' AND pid <> pg_backend_pid()"
        )
    ]


def test_a_hint_reaches_the_other_node_and_tells_nothing_of_what_was_sent(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        one, _, told = await two(nodes)
        with nodes.server.connect(nodes.database) as stranger:
            stranger.execute(f"LISTEN {CHANNEL}")  # type: ignore[arg-type]
            loop = asyncio.get_running_loop()
            began = loop.time()
            await send(one)
            await until(lambda: PLACE in told, 2)
            found = [json.loads(each.payload) for each in stranger.notifies(timeout=0.5)]
            took = loop.time() - began
        # Told again by who finds it waiting, and once more as long as nobody has taken it.
        assert 1 <= len([each for each in found if each]) <= 2 + took / 0.1
        assert all(each in ([], [list(PLACE)]) for each in found)

    play(postgresql_server, tmp_path, scene)


def test_many_sends_are_few_hints(postgresql_server: Server, tmp_path: Path) -> None:
    async def scene(nodes: Nodes) -> None:
        one, _, told = await two(nodes)
        with nodes.server.connect(nodes.database) as stranger:
            stranger.execute(f"LISTEN {CHANNEL}")  # type: ignore[arg-type]
            loop = asyncio.get_running_loop()
            began = loop.time()
            for _ in range(5):
                await asyncio.gather(*(send(one) for _ in range(16)))
            await until(lambda: PLACE in told, 2)
            took = loop.time() - began
            found = [each for each in stranger.notifies(timeout=0.2) if each.payload != "[]"]
        assert 1 <= len(found) <= 2 + took / coordinator.TELL_SECONDS
        assert len(found) < 100

    play(postgresql_server, tmp_path, scene)


def test_a_lost_hint_is_made_good(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "POLL_SECONDS", 0.2)

    async def scene(nodes: Nodes) -> None:
        one, _, told = await two(nodes)
        one._databases.tell_others = lambda *_: None
        await send(one)
        await until(lambda: PLACE in told, 3)
        # What is due later is found once it is, and not before.
        found = await one.lease("p", "queue", "jobs", 10, 60.0)
        await one.settle("p", "queue", "jobs", [end_of(m, Fate.DONE) for m in found])
        await asyncio.sleep(0.3)
        told.clear()
        await send(one, delay=0.6)
        await asyncio.sleep(0.4)
        assert told == []
        await until(lambda: PLACE in told, 3)

    play(postgresql_server, tmp_path, scene)


def test_a_node_whose_connection_is_ended_hears_again(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        one, other, told = await two(nodes)
        for _ in range(3):
            for pid in connections(nodes):
                nodes.sql(f"SELECT pg_terminate_backend({pid})")
            await until(lambda: not other.coordination._fault, 30)
            told.clear()
            await send(one)
            await until(lambda: PLACE in told, 30)
        assert other.coordination.refusal() == ""

    play(postgresql_server, tmp_path, scene)


def test_what_strangers_tell_changes_nothing(postgresql_server: Server, tmp_path: Path) -> None:
    hostile = (
        *("", "x", "{}", "null", "[[]]", "[" * 4000, '[["p","queue"]]', '[["p","queue",1]]'),
        *('[["../p","queue","jobs"]]', '[["q","queue","jobs"]]', '[["P","queue","jobs"]]'),
        "[" + ",".join(['["p","inbox","f"]'] * 300) + "]",
    )

    async def scene(nodes: Nodes) -> None:
        one, other, told = await two(nodes)
        with nodes.server.connect(nodes.database) as stranger:
            for text in hostile:
                stranger.execute("SELECT pg_notify(%s, %s)", (CHANNEL, text))
            stranger.execute(
                "SELECT pg_notify(%s, n || repeat('x', 3000)) FROM generate_series(1, 600) n",
                (CHANNEL,),
            )
        await send(one)
        await until(lambda: PLACE in told, 30)
        assert {place[0] for place in told} == {"p"}
        assert not one.coordination.faults() and not other.coordination.faults()
        assert other.coordination.refusal() == ""

    play(postgresql_server, tmp_path, scene)


def test_hints_are_bounded() -> None:
    waiting = Hints()
    assert waiting.add("p", [("queue", f"q{n}") for n in range(MOST_WAITING + 50)])
    assert not waiting.add("p", [("queue", "one-more")])
    seen: set[tuple[str, ...]] = set()
    while text := waiting.take():
        assert len(text) <= MAX_TOLD
        seen |= {tuple(place) for place in heard(text) or ()}
    assert len(seen) == MOST_WAITING
    assert heard("[" * 7000) is None and heard("x" * 8000) is None


def test_what_is_heard_is_looked_at_by_one_node_after_the_other_and_bounded() -> None:
    texts = ['[["p","inbox","f"],["p","inbox","g"]]', "no hint", '[["p","inbox","f"]]', "[]"]
    ranks = {"p/f": 0, "p/g": 3}
    found = Heard()
    assert found.hear(texts, ranks.__getitem__, 100.0) == ({"p": {("inbox", "f")}}, True)
    assert 100.03 <= found.due <= 100.04
    assert found.take(100.0) == []
    found.hear(texts, ranks.__getitem__, 100.02)  # told again: not later for that
    assert found.take(100.04) == [("p", "inbox", "g")]
    assert found.take(1e9) == [] and math.isinf(found.due)
    # However many nodes there are, and however much is told.
    found.hear(texts[:1], lambda _: 10_000, 100.0)
    assert len(found.take(100.0 + MOST_LATER + 0.01)) == 2
    for number in range(0, 2 * MOST_WAITING, 100):
        many = [["p", "inbox", f"f{number + n}"] for n in range(100)]
        found.hear([json.dumps(many)], lambda _: 1, 100.0)
    assert len(found.take(1e9)) == MOST_WAITING


def test_all_nodes_are_of_one_mind_on_whose_turn_it_is() -> None:
    names = ("a", "b", "c")
    living = tuple(Living(Holder(name, "1"), name != "rests") for name in (*names, "rests"))
    seen = {name: Among(Holder(name, "1"), living) for name in (*names, "rests")}
    turns: dict[str, set[str]] = {}
    for what in (f"p{number}" for number in range(50)):
        ranks = sorted(seen[name].rank(what) for name in names)
        assert ranks == [0, 1, 2]
        assert first(names, what) == next(name for name in names if not seen[name].rank(what))
        for turn in range(3):
            (its,) = [name for name in seen if seen[name].has_turn(what, turn)]
            turns.setdefault(what, set()).add(its)
    assert all(its == set(names) for its in turns.values())
    # Of a limit of less than there are nodes, those that come first have a part.
    assert all(part(names, first(names, w), w, 1) == 1 for w in turns)


def test_one_node_leads_and_another_takes_over(postgresql_server: Server, tmp_path: Path) -> None:
    async def scene(nodes: Nodes) -> None:
        started = [await nodes.open(name) for name in ("a", "b", "c")]
        found = [node.coordination for node in started]
        for one in found:
            one.seek(SCHEDULES, ["p", "q"])
            one.seek(SOURCES, ["p"])

        def leaders(kind: str = SCHEDULES, project: str = "p") -> list[int]:
            return [n for n, one in enumerate(found) if one.leads(kind, project)]

        await until(lambda: all(len(leaders(SCHEDULES, one)) == 1 for one in ("p", "q")))
        await until(lambda: len(leaders(SOURCES)) == 1)
        assert leaders(SOURCES, "q") == []
        # Drained: at once, and before any other leads.
        first = leaders()[0]
        reason = "drained"
        found[first].heed(lambda: reason)
        assert not found[first].leads(SCHEDULES, "p")
        await until(lambda: len(leaders()) == 1, 1.5)
        second = leaders()[0]
        # Ended: at once.
        await started[second].close()
        await until(lambda: len(leaders()) == 1 and leaders()[0] not in (first, second), 1.5)
        # Not seen: once it is gone, and it does not believe that it leads when it is back.
        third = leaders()[0]
        reason = ""
        found[first].look()
        wake = nodes.freeze(started[third])
        await until(lambda: first in leaders(), 30)
        found[third]._among.until = 0.0
        assert leaders() == [first]
        wake()
        await until(lambda: found[third].refusal() == "", 30)
        await until(lambda: leaders() == [first] or leaders() == [third], 30)

    play(postgresql_server, tmp_path, scene)


def test_projects_are_led_by_all_nodes_and_move_when_one_comes_or_goes(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "BEAT_SECONDS", 0.3)
    projects = [f"p{number}" for number in range(60)]

    async def scene(nodes: Nodes) -> None:
        started = [await nodes.open("a")]

        def led() -> list[int]:
            by_node = [
                [p for p in projects if node.coordination.leads(SCHEDULES, p)] for node in started
            ]
            found = [project for one in by_node for project in one]
            assert len(set(found)) == len(found)  # never two
            return [len(one) for one in by_node]

        started[0].coordination.seek(SCHEDULES, projects)
        await until(lambda: led() == [60])
        for name in ("b", "c"):
            started.append(await nodes.open(name))
            started[-1].coordination.seek(SCHEDULES, projects)
        await until(lambda: sum(led()) == 60 and min(led()) >= 10, 30)
        gone = started.pop(1)
        await gone.close()
        await until(lambda: sum(led()) == 60, 3)

    play(postgresql_server, tmp_path, scene)


def test_what_its_first_node_does_not_take_another_leads(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coordinator, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(leading, "FREE_SECONDS", 0.5)
    projects = [f"p{number}" for number in range(20)]

    async def scene(nodes: Nodes) -> None:
        one = await nodes.open("one")
        await nodes.open("other")  # which does not know these projects
        await until(lambda: len(one.coordination._seen.takers) == 2, 30)
        one.coordination.seek(SCHEDULES, projects)
        await until(lambda: all(one.coordination.leads(SCHEDULES, p) for p in projects), 30)
        await asyncio.sleep(0.6)  # and it does not give up what it took for want of another
        assert all(one.coordination.leads(SCHEDULES, p) for p in projects)

    play(postgresql_server, tmp_path, scene)


def test_what_another_node_leases_is_not_leased_for_nothing(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of those who hear one looks at once; the others find nothing left, and are not told."""
    monkeypatch.setattr(hints, "LATER_SECONDS", 0.3)

    async def scene(nodes: Nodes) -> None:
        names = ("sends", "a", "b", "c", "d")
        started = {name: await nodes.open(name) for name in names}
        await started["sends"].ensure("p", RESOURCES)
        chosen = first(names, "p/jobs")
        told: dict[str, int] = dict.fromkeys(names, 0)

        def note(name: str, *_: object) -> None:
            told[name] += 1

        for name, node in started.items():
            node.coordination.follow(["p"])
            node.watch(partial(note, name))
        await until(lambda: all(len(n.coordination._seen.takers) == 5 for n in started.values()))
        await asyncio.sleep(0.2)
        told.update(dict.fromkeys(names, 0))
        for _ in range(3):
            await send(started["sends"])
            assert await started["sends"].lease("p", "queue", "jobs", 10, 60.0)
            await until(lambda: bool(told[chosen]), 2)
            await asyncio.sleep(0.4)
        others = {name: count for name, count in told.items() if name not in ("sends", chosen)}
        assert sum(others.values()) <= len(others)  # once, if a lease was late
        # What nobody leases all of them are told of.
        await send(started["sends"])
        await until(lambda: all(told[name] for name in others), 2)

    play(postgresql_server, tmp_path, scene)


def test_who_left_does_not_lead_by_what_it_found_before(
    postgresql_server: Server, tmp_path: Path
) -> None:
    """Its reason to rest was gone again before its loop was told that it has left."""

    async def scene(nodes: Nodes) -> None:
        one = (await nodes.open("one")).coordination
        one.seek(SCHEDULES, ["p"])
        await until(lambda: one.leads(SCHEDULES, "p"))
        apply, late = one._apply, list[Any]()
        one._apply = lambda found, **named: late.append((found, named))  # the loop is busy
        one.heed(lambda: "drained")
        await until(lambda: bool(late), 30)
        one.heed(str)
        assert not one.leads(SCHEDULES, "p")
        one._apply = apply
        for found, named in late:
            apply(found, **named)
        await until(lambda: one.leads(SCHEDULES, "p"), 30)

    play(postgresql_server, tmp_path, scene)


def test_a_project_that_is_not_sought_any_more_is_left(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "FREE_SECONDS", 0.2)
    monkeypatch.setattr(coordinator, "BEAT_SECONDS", 0.3)

    async def scene(nodes: Nodes) -> None:
        one, other = await nodes.open("one"), await nodes.open("other")
        one.coordination.seek(SCHEDULES, ["p"])
        await until(lambda: one.coordination.leads(SCHEDULES, "p"))
        other.coordination.seek(SCHEDULES, ["p"])
        await asyncio.sleep(0.1)
        assert not other.coordination.leads(SCHEDULES, "p")
        one.coordination.seek(SCHEDULES, [])
        await until(lambda: other.coordination.leads(SCHEDULES, "p"), 30)
        assert not one.coordination.leads(SCHEDULES, "p")

    play(postgresql_server, tmp_path, scene)


def test_who_is_not_seen_leases_nothing_and_is_told_when_it_is_back(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        one = await nodes.open("one")
        told: list[str] = []
        found = one.coordination
        found.watch(
            Watcher(
                changed=lambda: told.append(f"changed {found.refusal() or 'takes'}"),
                returned=lambda: told.append(f"returned {'refuses' if found.refusal() else ''}"),
            )
        )
        assert found.refusal() == ""
        wake = nodes.freeze(one)
        found._among.until = found._seen.until = 0.0  # as after a night
        assert "not seen" in found.refusal()
        wake()
        await until(lambda: found.refusal() == "", 30)
        assert told[-2:] == ["returned refuses", "changed takes"]

    play(postgresql_server, tmp_path, scene)


def test_leases_of_who_is_gone_are_ended_and_it_settles_nothing(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        one, other, told = await two(nodes)
        orphaned: list[str] = []
        other.coordination.watch(Watcher(orphaned=orphaned.append))
        for number in range(3):
            await send(one, b"%d" % number)
        held = await one.lease("p", "queue", "jobs", 2, 3600.0)
        assert await other.resume("p")  # both live: what they hold is theirs
        assert [m.body for m in await other.lease("p", "queue", "jobs", 9, 60.0)] == [b"2"]
        nodes.freeze(one)
        other.coordination.look()
        await until(lambda: "p" in orphaned, 30)
        told.clear()
        await other.resume("p")
        # Before anybody has leased it anew.
        ends = [end_of(message, Fate.DONE) for message in held]
        assert await one.settle("p", "queue", "jobs", ends[:1]) == 0
        assert (
            await one.extend(
                "p", "queue", "jobs", [Lease(id=m.id, fence=m.fence) for m in held], 60.0
            )
            == 0
        )
        taken = await other.lease("p", "queue", "jobs", 9, 60.0)
        assert sorted(m.body for m in taken) == [b"0", b"1"]
        # And afterwards, with each attempt and fence there was.
        right = {(m.fence, m.attempts) for m in taken}
        for end in ends:
            for fence, attempt in itertools.product((1, 2, 3, 4), (1, 2, 3)):
                guess = msgspec.structs.replace(end, fence=fence, attempt=attempt)
                if (fence, attempt) not in right:
                    assert await one.settle("p", "queue", "jobs", [guess]) == 0
        done = [end_of(message, Fate.DONE) for message in taken]
        assert await other.settle("p", "queue", "jobs", done) == 2
        assert await other.settle("p", "queue", "jobs", done) == 0
        assert PLACE in told

    play(postgresql_server, tmp_path, scene)


def test_a_later_life_takes_the_place_of_a_former_one(
    postgresql_server: Server, tmp_path: Path
) -> None:
    async def scene(nodes: Nodes) -> None:
        former = await nodes.open("one")
        former.coordination.seek(SCHEDULES, ["p"])
        await until(lambda: former.coordination.leads(SCHEDULES, "p"))
        await former.ensure("p", RESOURCES)
        await send(former)
        await former.lease("p", "queue", "jobs", 1, 3600.0)
        later = await nodes.open("one")
        later.coordination.seek(SCHEDULES, ["p"])
        former.coordination.look()
        await until(lambda: later.coordination.leads(SCHEDULES, "p"), 30)
        await until(lambda: bool(former.coordination.refusal()), 30)
        assert not former.coordination.leads(SCHEDULES, "p")
        assert "Another process" in former.coordination.faults()[0]
        await later.resume("p")
        assert len(await later.lease("p", "queue", "jobs", 1, 60.0)) == 1
        with pytest.raises(DataLockedError):
            await send(former)

    play(postgresql_server, tmp_path, scene)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 10, 100])
def test_shares_add_up_to_the_limit(limit: int) -> None:
    for count in range(1, 9):
        names = [f"node-{n}" for n in range(count)]
        for what in ("p/f", "p/g", "q/f"):
            parts = [part(names, own, what, limit) for own in names]
            assert sum(parts) == limit
            assert max(parts) - min(parts) <= 1
    # Not the same node has the one of every function.
    first = {
        next(n for n in ("a", "b", "c") if part(("a", "b", "c"), n, f"p/f{i}", 1))
        for i in range(40)
    }
    assert first == {"a", "b", "c"}


def test_a_node_has_its_share_of_those_that_take_events(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(among, "JOINED_SECONDS", 1.0)

    async def scene(nodes: Nodes) -> None:
        one = (await nodes.open("one")).coordination
        await until(lambda: one.share("p", "f", 10) == 10, 30)
        await nodes.open("idle", takes=False)
        two_node = await nodes.open("two")
        two, told = two_node.coordination, []
        two.watch(Watcher(changed=lambda: told.append(two.share("p", "f", 10))))
        await until(lambda: one.share("p", "f", 10) == 5, 30)
        assert two.share("p", "f", 10) == 0, "not before the other has seen it"
        await until(lambda: 5 in told, 30)
        # Who does not take events has nothing, and begins anew.
        two.heed(lambda: "drained")
        await until(lambda: one.share("p", "f", 10) == 10, 30)
        two.heed(str)
        assert two.share("p", "f", 10) == 0
        await until(lambda: two.share("p", "f", 10) == 5, 30)
        await two_node.close()
        await until(lambda: one.share("p", "f", 10) == 10, 30)

    play(postgresql_server, tmp_path, scene)


def test_never_do_two_nodes_lead(postgresql_server: Server, tmp_path: Path) -> None:
    """Whatever nodes do at random: drain, return, seek, leave, end, lose their connection."""

    async def scene(nodes: Nodes) -> None:
        drawn = random.Random(11)
        started = [await nodes.open(f"n{number}") for number in range(4)]
        projects = ("p", "q")
        reasons = [""] * len(started)
        for number, node in enumerate(started):
            node.coordination.heed(lambda number=number: reasons[number])
            node.coordination.seek(SCHEDULES, projects)
        led = 0
        for turn in range(TURNS):
            number = drawn.randrange(len(started))
            node = started[number]
            match drawn.randrange(40):
                case 0 | 1 | 2:
                    reasons[number] = "" if reasons[number] else "drained"
                    node.coordination.look()
                case 3:
                    node.coordination.seek(SCHEDULES, drawn.sample(projects, drawn.randrange(3)))
                case 4:
                    pid = drawn.choice(connections(nodes) or [0])
                    nodes.sql(f"SELECT pg_terminate_backend({pid})")
                case 5:
                    await node.close()
                    started[number] = await nodes.open(f"n{number}", takes=False)
                    started[number].coordination.heed(lambda number=number: reasons[number])
                    started[number].coordination.seek(SCHEDULES, projects)
            await asyncio.sleep(0.004)
            for project in projects:
                leads = [n for n in started if n.coordination.leads(SCHEDULES, project)]
                assert len(leads) <= 1, (turn, project, len(leads))
                led += len(leads)
        assert led > TURNS // 4

    play(postgresql_server, tmp_path, scene)


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_a_clock_that_is_set_lets_no_dead_node_live(
    postgresql_server: Server, tmp_path: Path, step: float
) -> None:
    async def scene(nodes: Nodes) -> None:
        one, other, _ = await two(nodes)
        one.coordination.seek(SCHEDULES, ["p"])
        await until(lambda: one.coordination.leads(SCHEDULES, "p"))
        await send(one)
        await one.lease("p", "queue", "jobs", 1, 3600.0)
        nodes.freeze(one)
        # Seen long ago, or in a future that will not be for an hour.
        nodes.sql(
            f"UPDATE casemate_projects.node SET seen_at = seen_at + {step} WHERE node = 'one'"
        )
        other.coordination.seek(SCHEDULES, ["p"])
        await until(lambda: other.coordination.leads(SCHEDULES, "p"), 30)
        await other.resume("p")
        assert len(await other.lease("p", "queue", "jobs", 1, 60.0)) == 1

    play(postgresql_server, tmp_path, scene)


def test_a_node_whose_clock_is_off_is_not_seen(
    postgresql_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: it was, and kept what it had leased and could not settle from all others."""

    async def scene(nodes: Nodes) -> None:
        one = await nodes.open("one")
        monkeypatch.setattr(clock.time, "time", lambda: true() + 3600)
        await until(lambda: "ahead of the database's" in "".join(one.coordination.faults()), 30)
        (before,) = nodes.sql("SELECT seen_at FROM casemate_projects.node")
        await asyncio.sleep(2.5)
        assert nodes.sql("SELECT seen_at FROM casemate_projects.node") == [before]
        monkeypatch.setattr(clock.time, "time", true)
        await until(lambda: not one.coordination.faults(), 30)
        assert nodes.sql("SELECT seen_at FROM casemate_projects.node") != [before]

    true = time.time
    play(postgresql_server, tmp_path, scene)
