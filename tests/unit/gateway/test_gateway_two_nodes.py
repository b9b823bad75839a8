"""Two nodes on one PostgreSQL: what one changes holds on the other, and of two rivals one wins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from test_gateway_control import ADA, Bundles, Node

from casemate.accounts import Accounts
from casemate.accounts.passwords import PasswordHashing
from casemate.data import DataGoneError
from casemate.facts import FactStream
from casemate.gateway.deployed_state import TOPICS
from casemate.gateway.followed import rights_of
from casemate.gateway.known_projects import KnownProjects
from casemate.model.account import PolicyFile
from casemate.model.errors import CasemateError, ConflictError
from casemate.model.function import HttpTrigger
from casemate.model.principal import NODE, Action
from casemate.model.restriction import RestrictionKind
from casemate.model.route import RouteClaim
from casemate.model.still import asked_again
from casemate.nodes import Following, Part, SharedDecisions, Standing
from casemate.nodes.policies import TOPICS as POLICIES
from casemate.nodes.policies import reload
from casemate.operations.functions import SetAlias, Target
from casemate.operations.policies import KeepPolicy
from casemate.operations.quarantine import QuarantineFunction
from casemate.policy import CedarPolicy
from casemate.postgresql.settings import Settings
from casemate.restrictions import Restrictions
from casemate.store.postgresql.store import PostgresqlStore
from support.accounts import FAST, MemoryVault
from support.database import Server

SOON = 1.0
"""Seconds within which a change is to hold everywhere."""
NOBODY = PolicyFile(
    name="nobody",
    text='@id("no-backups") forbid (principal, action == Casemate::Action::"node:backup", '
    "resource);",
    changed_at=1.0,
    changed_by="user:ada",
)


class Among:
    """The parts of one of the nodes, over its own connections to the store."""

    def __init__(self, url: str, folder: Path, bundles: Bundles, vault: MemoryVault) -> None:
        self.store = store = PostgresqlStore.open(Settings.of_url(url), cluster="tests")
        self.decisions = SharedDecisions(store)
        self.policy = CedarPolicy()
        self.accounts = Accounts(
            store,
            vault,  # type: ignore[arg-type]
            roles=self.policy.roles,
            happened=FactStream().happened,
            hashing=PasswordHashing(FAST),
        )
        held: list[Restrictions] = []  # of the node, which is decided on them

        async def again() -> None:
            await held[0].reload()

        later: Any = SimpleNamespace(reload=again)
        rights = rights_of(store, self.accounts, self.policy, later)
        self.node = Node(folder, bundles, store, self.decisions.besides(*rights))
        self.control, self.restrictions = self.node.control, self.node.restrictions
        held.append(self.restrictions)
        self.standing = Standing(10.0)
        self.following = Following(store, self._parts(), self.standing)

    def _parts(self) -> tuple[Part, ...]:
        async def policies() -> None:
            await reload(self.store, self.policy)

        return (
            Part(
                name="accounts",
                topics=frozenset({"user", "user_roles", "token"}),
                reload=self.accounts.reload,
            ),
            Part(name="functions", topics=TOPICS, reload=self.control.reload),
            Part(name="policies", topics=POLICIES, reload=policies),
            Part(
                name="restrictions",
                topics=frozenset({"value restrictions"}),
                reload=self.restrictions.reload,
            ),
        )

    async def start(self) -> str | None:
        await self.following.begin()
        token = await self.accounts.load()
        await reload(self.store, self.policy)
        await self.restrictions.load()
        await self.control.load()
        self.following.start()
        return token

    async def close(self) -> None:
        await self.following.close()
        await self.accounts.close()
        await self.store.close()


Scene = Callable[[Among, Among], Awaitable[None]]
Play = Callable[[Scene], None]


@pytest.fixture
def on_two(postgresql_server: Server, tmp_path: Path) -> Play:
    """Play a scene on two nodes of a cluster of its own."""
    name = postgresql_server.database()

    def play(scene: Scene) -> None:
        async def run() -> None:
            bundles, vault = Bundles(), MemoryVault()
            url = postgresql_server.url(name)
            one, other = (Among(url, tmp_path, bundles, vault) for _ in range(2))
            try:
                await one.start()
                await other.start()
                await asyncio.wait_for(scene(one, other), 30)
            finally:
                await one.close()
                await other.close()

        asyncio.run(run())

    return play


def _at(path: str) -> tuple[HttpTrigger, ...]:
    return (HttpTrigger(method="GET", path=path),)


async def soon(holds: Callable[[], object], within: float = 10.0) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.01)


async def outcome(work: Awaitable[Any]) -> CasemateError | None:
    try:
        await work
    except CasemateError as error:
        return error
    return None


@pytest.mark.alone
def test_what_one_node_decides_holds_on_the_other_within_a_second(on_two: Play) -> None:
    async def scene(one: Among, other: Among) -> None:
        issued = await one.accounts.tokens.add_owner("second", seconds=3600)
        shown = f"Bearer {issued.text}"
        await soon(lambda: other.accounts.authenticate(shown), SOON)
        asking = other.accounts.authenticate(shown)
        assert asking is not None and other.policy.allows(asking, Action.NODE_BACKUP, NODE)

        async def put() -> KeepPolicy:
            return KeepPolicy(file=NOBODY)

        await one.decisions.make(put, lambda: reload(one.store, one.policy), POLICIES)
        await soon(lambda: not other.policy.allows(asking, Action.NODE_BACKUP, NODE), SOON)

        await one.restrictions.restrict(
            RestrictionKind.HOST, "t", "f", "evil.example", reason="r", by=ADA
        )
        await soon(lambda: other.restrictions.hosts("t", "f") == ("evil.example",), SOON)

        await one.node.deploy("f", http=_at("/f"))
        await soon(lambda: other.node.route("/f") == "f", SOON)
        await one.control.quarantine(
            QuarantineFunction(project="t", function="f", reason="r"), by=ADA
        )
        await soon(lambda: other.node.dispatcher.contained == {("t", "f")}, SOON)
        assert other.node.dispatcher.killed == []
        for times in (1, 2):
            # Also of one that is held already; each time once, and its calls everywhere.
            await one.control.quarantine(
                QuarantineFunction(project="t", function="f", reason="r", kill=True), by=ADA
            )
            for node in (one, other):
                killed, wanted = node.node.dispatcher.killed, [("t", "f")] * times
                await soon(lambda killed=killed, wanted=wanted: killed == wanted, SOON)

        await one.accounts.tokens.revoke(issued.token.id, by=asking)
        await soon(lambda: other.accounts.authenticate(shown) is None, SOON)
        assert other.standing.stale() == ""

    on_two(scene)


def test_of_two_that_deploy_the_same_route_or_claim_the_same_prefix_one_wins(on_two: Play) -> None:
    async def scene(one: Among, other: Among) -> None:
        route = _at("/shop/{id}")
        for node in (one, other):
            node.node.client.gate = asyncio.Event()
        # Each has looked, in its memory, at what the other has not yet deployed.
        both = [
            asyncio.ensure_future(outcome(one.node.deploy("f", http=route))),
            # Of another project: only memory knows that a first segment is one project's.
            asyncio.ensure_future(outcome(other.node.deploy("g", project="u", http=route))),
        ]
        while not (one.node.client.opening and other.node.client.opening):
            await asyncio.sleep(0.01)
        for node in (one, other):
            assert node.node.client.gate is not None
            node.node.client.gate.set()
        errors = await asyncio.gather(*both)
        (lost,) = [error for error in errors if error is not None]
        assert isinstance(lost, ConflictError) and "belongs to" in lost.message
        claims = [
            outcome(node.control.claim_routes(RouteClaim(project=p, prefixes=("/pay",)), by=ADA))
            for node, p in ((one, "a"), (other, "b"))
        ]
        errors = await asyncio.gather(*claims)
        assert sum(isinstance(error, ConflictError) for error in errors) == 1
        await soon(lambda: one.node.catalogue.claims == other.node.catalogue.claims)
        assert len(one.node.catalogue.claims) == 1

    on_two(scene)


def test_a_deploy_under_way_keeps_nothing_from_being_known_and_decides_on_it(on_two: Play) -> None:
    async def scene(one: Among, other: Among) -> None:
        first = await one.node.deploy("f")
        await soon(lambda: other.node.live("f") == first.number)
        gate = other.node.client.gate = asyncio.Event()
        under_way = asyncio.ensure_future(outcome(other.node.deploy("f", http=_at("/b"))))
        while not other.node.client.opening:
            await asyncio.sleep(0.01)
        second = await one.node.deploy("f", http=_at("/a"))
        await soon(lambda: other.node.live("f") == second.number)
        await one.restrictions.restrict(
            RestrictionKind.ALIAS, "t", "f", "", reason="frozen", by=ADA
        )
        await soon(lambda: other.restrictions.all("t"))
        gate.set()
        error = await under_way
        assert error is not None and "frozen" in error.message

    on_two(scene)


def test_both_keep_things_in_the_same_value_and_none_is_lost(on_two: Play) -> None:
    async def scene(one: Among, other: Among) -> None:
        work = [
            node.restrictions.restrict(
                RestrictionKind.HOST, "t", "", f"h{number}.{name}.example", reason="r", by=ADA
            )
            for number in range(24)
            for node, name in ((one, "one"), (other, "two"))
        ]
        await asyncio.gather(*work)
        await soon(lambda: len(one.restrictions.hosts("t", "f")) == 48)
        await soon(lambda: len(other.restrictions.hosts("t", "f")) == 48)

    on_two(scene)


def test_an_alias_that_was_moved_meanwhile_is_decided_on_anew(on_two: Play) -> None:
    async def scene(one: Among, other: Among) -> None:
        path = _at("/x")
        await one.node.deploy("f", http=path)
        await one.node.deploy("f", approve=True)
        # What version 1 of f had is free now, and taken on the other node.
        await other.following.look()
        await other.following.settled()
        await other.node.deploy("g", http=path)
        back = SetAlias(
            project="t", function="f", name="live", targets=(Target(version=1, weight=100),)
        )
        # Not a look later: at once, on what this node has not met yet.
        error = await outcome(one.control.set_alias(back, by=ADA))
        assert isinstance(error, ConflictError) and "belongs to t/g" in error.message

    on_two(scene)


def test_what_one_node_holds_back_no_change_on_another_passes_by(on_two: Play) -> None:
    """It passed until the other had looked: for half a second and more."""

    async def scene(one: Among, other: Among) -> None:
        await one.node.deploy("f")
        await one.node.deploy("f", approve=True)
        await other.following.look()
        await other.following.settled()
        back = SetAlias(
            project="t", function="f", name="live", targets=(Target(version=1, weight=100),)
        )
        for _ in range(5):
            frozen = await one.restrictions.restrict(
                RestrictionKind.ALIAS, "t", "f", "", reason="r", by=ADA
            )
            for change in (
                other.control.remove("t", "f", by=ADA),
                other.control.set_alias(back, by=ADA),
                other.control.rollback("t", "f", 1, by=ADA),
                other.control.remove_version("t", "f", 1, by=ADA),
            ):
                error = await outcome(change)
                assert isinstance(error, ConflictError) and "are frozen" in error.message
            await one.restrictions.lift(frozen.id, "r", ADA)
        assert await outcome(other.control.set_alias(back, by=ADA)) is None

    on_two(scene)


@pytest.mark.parametrize("taken", ["token", "policy"])
def test_who_lost_a_right_on_one_node_changes_no_function_on_another(
    on_two: Play, taken: str
) -> None:
    async def scene(one: Among, other: Among) -> None:
        await one.node.deploy("f")
        issued = await one.accounts.tokens.add_owner("second", seconds=3600)
        shown = f"Bearer {issued.text}"
        await other.following.look()
        await other.following.settled()
        asking = other.accounts.authenticate(shown)
        assert asking is not None

        def still() -> None:
            """As the API decides once more."""
            now = other.accounts.authenticate(shown)
            if now is None or not other.policy.allows(now, Action.NODE_BACKUP, NODE):
                raise ConflictError("not any more")

        async def put() -> KeepPolicy:
            return KeepPolicy(file=NOBODY)

        if taken == "token":
            await one.accounts.tokens.revoke(issued.token.id, by=asking)
        else:
            await one.decisions.make(put, lambda: reload(one.store, one.policy), POLICIES)
        with asked_again(still):
            error = await outcome(other.control.remove("t", "f", by=ADA))
        assert isinstance(error, ConflictError) and error.message == "not any more"

    on_two(scene)


def test_projects_that_both_make_are_all_known(on_two: Play) -> None:
    async def scene(one: Among, other: Among) -> None:
        both = [KnownProjects(node.store) for node in (one, other)]
        for known in both:
            await known.require(tuple)
        names = [f"p{number}" for number in range(24)]
        await asyncio.gather(*(both[i % 2].add(name) for i, name in enumerate(names)))
        await KnownProjects(one.store).require(lambda: names)
        with pytest.raises(DataGoneError, match="24 projects"):
            await KnownProjects(other.store).require(tuple)

    on_two(scene)


def test_a_project_that_is_made_while_another_node_starts_is_not_missed(on_two: Play) -> None:
    """Its database is there first: what is known is asked for before that is looked at."""

    async def scene(one: Among, other: Among) -> None:
        loop, making = asyncio.get_running_loop(), KnownProjects(one.store)
        await making.require(tuple)
        made: list[str] = []

        def present() -> list[str]:
            if not made:
                made.append("late")
                asyncio.run_coroutine_threadsafe(making.add("late"), loop).result(10)
            return made

        starting = KnownProjects(other.store)
        assert await starting.require(present) == frozenset()
        with pytest.raises(DataGoneError, match="late"):
            await starting.require(tuple)

    on_two(scene)
