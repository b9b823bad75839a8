"""When people were last there: kept beyond their sessions, written seldom, and of nobody else."""

from __future__ import annotations

import asyncio

from casemate.accounts.seen import WRITE_SECONDS, PeopleSeen
from casemate.model.account import User
from casemate.model.principal import RoleBinding
from support.accounts import World
from support.parts import KeptValues


class Counting(KeptValues):
    changes = 0

    async def change(self, operation: object) -> None:
        self.changes += 1
        await super().change(operation)  # type: ignore[arg-type]


def test_it_is_written_once_an_hour_and_forgotten_with_the_person() -> None:
    async def run() -> None:
        store = Counting()
        seen = PeopleSeen(store)  # type: ignore[arg-type]
        await seen.load()
        ada = User(name="ada", created_at=1.0)
        for second in range(0, 7200, 15):
            await seen.note({"ada": 100.0 + second}, ["ada"])
        assert store.changes == 2
        assert seen.at(ada) == 100.0 + WRITE_SECONDS
        again = PeopleSeen(store)  # type: ignore[arg-type]
        await again.load()
        assert again.at(ada) == 100.0 + WRITE_SECONDS
        assert again.at(User(name="ada", created_at=90_000.0)) is None, "that is another one"
        await again.note({"ada": 90_000.0, "eve": 5.0}, ["bob"])
        assert again.at(ada) is None

    asyncio.run(run())


def test_a_person_s_session_says_so_after_it_is_over() -> None:
    world = World(session_seconds=60.0)
    world.person("ada", RoleBinding(role="auditor"))
    issued = world.login("ada")
    world.clock.now += 5
    assert world.who(issued.text) is not None
    at = world.clock.now
    world.run(world.accounts.flush())
    world.clock.now += 3600
    world.run(world.accounts.flush())
    assert world.who(issued.text) is None
    people = world.start().people
    assert people.seen_at(people.one("ada")) == at


def test_a_service_token_is_nobody_s_presence() -> None:
    world = World()
    world.person("ada", RoleBinding(role="auditor"))
    assert world.owner
    world.run(world.accounts.flush())
    assert world.accounts.people.seen_at(world.accounts.people.one("ada")) is None
