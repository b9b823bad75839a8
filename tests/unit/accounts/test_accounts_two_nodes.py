"""Accounts of two nodes on one PostgreSQL: each decides on what is stored, and counts for both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from casemate.accounts import Accounts, LastOwnerError, LoginRefusedError, TooManyAttemptsError
from casemate.accounts import throttle as throttle_module
from casemate.accounts.oidc.id_token import Identity
from casemate.accounts.passwords import PasswordHashing
from casemate.accounts.provider_login import SETTINGS
from casemate.accounts.totp import code_at
from casemate.facts import FactStream
from casemate.model import back_off
from casemate.model.back_off import FREE_PER_ACCOUNT, BackOff
from casemate.model.errors import CasemateError, ConflictError, UnavailableError
from casemate.model.oidc import OidcSettings
from casemate.model.principal import BUILT_IN_ROLES, Principal, PrincipalKind, RoleBinding
from casemate.operations.accounts import CountAttempt, ReadTokens, ReadUserRoles
from casemate.operations.node import KeepNodeValue
from casemate.postgresql.settings import Settings
from casemate.store import SharedDecisions, StoreError
from casemate.store.postgresql.store import PostgresqlStore
from support.accounts import FAST, NODE_OWNER, PASSWORD, MemoryVault, secret_of
from support.database import Server

NODE = Principal(kind=PrincipalKind.TOKEN, id="node", bindings=NODE_OWNER)
PLACE = "10.0.0.9"


class Node:
    """Accounts over their own connections, which follow nothing: each knows what it has read."""

    def __init__(self, url: str, vault: MemoryVault, shift: float) -> None:
        self.store = PostgresqlStore.open(Settings.of_url(url), cluster="tests")
        self.clock_off = 0.0
        self.accounts = Accounts(
            self.store,
            vault,  # type: ignore[arg-type]
            roles=lambda: frozenset(BUILT_IN_ROLES),
            happened=FactStream().happened,
            hashing=PasswordHashing(FAST),
            clock=lambda: time.time() + shift + self.clock_off,
            session_idle=60.0,
            decisions=SharedDecisions(self.store),
        )
        self.people, self.tokens = self.accounts.people, self.accounts.tokens
        self.login = self.accounts.sessions.login

    def who(self, text: str) -> Principal:
        found = self.accounts.authenticate(f"Bearer {text}")
        assert found is not None
        return found

    async def close(self) -> None:
        await self.accounts.close()
        await self.store.close()


class Pair:
    def __init__(self, one: Node, other: Node, owner: str, shift: float) -> None:
        self.shift = shift
        self.one, self.other, self.owner = one, other, owner
        self.nodes = (one, other)
        self.secrets: dict[str, bytes] = {}

    async def read_again(self) -> None:
        for node in self.nodes:
            await node.accounts.reload()

    async def person(self, name: str, *bindings: RoleBinding) -> None:
        code = await self.one.people.add(name, bindings, by=self.one.who(self.owner))
        assert code is not None
        enrolment = self.one.accounts.enrolment
        self.secrets[name] = secret_of(await enrolment.begin(name, code, PASSWORD, PLACE))
        await enrolment.confirm(name, code, self.code(name, -1), PLACE)
        await self.read_again()

    def code(self, name: str, steps: int = 0) -> str:
        return code_at(self.secrets[name], int(time.time() + self.shift) // 30 + steps)


Play = Callable[[Callable[[Pair], Awaitable[None]]], None]


@pytest.fixture
def on_two(postgresql_server: Server) -> Play:
    url = postgresql_server.url(postgresql_server.database())

    def play(scene: Callable[[Pair], Awaitable[None]]) -> None:
        async def run() -> None:
            vault = MemoryVault()
            # The codes of the moment hold for long enough, however slow this is.
            shift = 2 - time.time() % 30
            nodes = [Node(url, vault, shift) for _ in range(2)]
            try:
                # At the same moment: one of them makes the first owner.
                made = await asyncio.gather(*(node.accounts.load() for node in nodes))
                (owner,) = filter(None, made)
                pair = Pair(nodes[0], nodes[1], owner, shift)
                await pair.read_again()
                await asyncio.wait_for(scene(pair), 30)
            finally:
                for node in nodes:
                    await node.close()

        asyncio.run(run())

    return play


async def race(*works: Awaitable[Any]) -> tuple[list[Any], list[CasemateError]]:
    """Return what came of those that were done, and why others were not."""
    done = await asyncio.gather(*works, return_exceptions=True)
    refused = [each for each in done if isinstance(each, CasemateError)]
    won = [each for each in done if not isinstance(each, BaseException)]
    assert len(won) + len(refused) == len(done), done
    return won, refused


def test_of_two_owners_who_take_each_others_role_one_is_refused(on_two: Play) -> None:
    async def scene(pair: Pair) -> None:
        for name in ("ada", "bob"):
            await pair.person(name, *NODE_OWNER)
        await pair.one.tokens.revoke(pair.one.who(pair.owner).id, by=NODE)
        await pair.read_again()
        ada, bob = (
            Principal(kind=PrincipalKind.USER, id=name, bindings=NODE_OWNER)
            for name in ("ada", "bob")
        )
        ways: list[Callable[[Node, str, Principal], Awaitable[Any]]] = [
            lambda node, name, by: node.people.set_roles(name, (), by=by),
            lambda node, name, by: node.people.take_roles(name, None, by=by),
            lambda node, name, by: node.people.set_disabled(name, True, by=by),
            lambda node, name, by: node.people.remove(name, by=by),
        ]
        for way in ways:
            # Neither has met what the other does.
            won, refused = await race(way(pair.one, "bob", ada), way(pair.other, "ada", bob))
            assert len(won) == len(refused) == 1, way
            await pair.read_again()
            left = await pair.one.store.read(ReadUserRoles())
            able = [r.user for r in left if not pair.one.people.one(r.user).disabled_at]
            assert able in (["ada"], ["bob"])
            # As before, for the next way.
            (gone,) = {"ada", "bob"} - set(able)
            keeper = ada if able == ["ada"] else bob
            if gone in {user.name for user in pair.one.people.all()}:
                await pair.one.people.set_disabled(gone, False, by=keeper)
                await pair.one.people.set_roles(gone, NODE_OWNER, by=keeper)
            await pair.read_again()
        with pytest.raises(LastOwnerError):
            await pair.other.people.remove(keeper.id, by=keeper)

    on_two(scene)


def test_what_a_revoked_token_makes_elsewhere_at_that_moment_ends_with_it(on_two: Play) -> None:
    async def scene(pair: Pair) -> None:
        for number in range(6):
            owner = pair.one.who(pair.owner)
            soon = time.time() + 3600
            stolen = await pair.one.tokens.add(f"stolen-{number}", NODE_OWNER, soon, by=owner)
            await pair.read_again()
            thief = pair.other.who(stolen.text)
            await race(
                pair.one.tokens.revoke(stolen.token.id, by=owner),
                pair.other.tokens.add(
                    f"child-{number}", NODE_OWNER, soon, by=thief, made_with=stolen.token.id
                ),
            )
        living = [t.name for t in await pair.one.store.read(ReadTokens()) if not t.revoked_at]
        assert living == ["bootstrap"]

    on_two(scene)


def test_a_code_and_an_enrolment_and_a_nonce_work_once_on_both(on_two: Play) -> None:
    async def scene(pair: Pair) -> None:
        await pair.person("ada")
        code = pair.code("ada")
        won, refused = await race(*(n.login("ada", PASSWORD, code, PLACE) for n in pair.nodes))
        assert len(won) == 1 and isinstance(refused[0], LoginRefusedError)

        by = pair.one.who(pair.owner)
        once = await pair.one.people.add("eve", (), by=by)
        assert once is not None
        await pair.read_again()
        enrolments = [node.accounts.enrolment for node in pair.nodes]
        codes = []
        for each in enrolments:
            secret = secret_of(await each.begin("eve", once, PASSWORD, PLACE))
            codes.append(code_at(secret, int(time.time() + pair.shift) // 30))
        won, refused = await race(
            *(e.confirm("eve", once, c, PLACE) for e, c in zip(enrolments, codes, strict=True))
        )
        assert len(won) == 1 and isinstance(refused[0], LoginRefusedError)

        user = await _by_provider(pair)
        nonce = (await pair.one.accounts.provider._made_nonces()).new()
        assert (await pair.other.accounts.provider._made_nonces()).is_valid(nonce)
        for node in pair.nodes:
            _identified(node, Identity(issuer="https://id.example", subject=user, nonce=nonce))
        logins = (node.accounts.provider.login("shown", PLACE) for node in pair.nodes)
        won, refused = await race(*logins)
        assert len(won) == 1 and "used before" in refused[0].message

    on_two(scene)


async def _by_provider(pair: Pair) -> str:
    """Add a person who comes by a provider, which both nodes trust."""
    settings = OidcSettings(issuer="https://id.example", client_id="casemate")
    value = msgspec.json.encode(settings)
    await pair.one.store.change(KeepNodeValue(name=SETTINGS, value=value))
    by = pair.one.who(pair.owner)
    await pair.one.people.add("olga", (), by=by, oidc_subject="s-1")
    await pair.read_again()
    return "s-1"


def _identified(node: Node, identity: Identity) -> None:
    async def identified(*_: Any) -> Identity:
        return identity

    node.accounts.provider._identity = identified  # type: ignore[method-assign]


class Long(BackOff):
    """Holds up for an hour at once, so that it makes no odds how slow a test is."""

    def open_at(self, count: int, last_at: float) -> float:
        return last_at + (3600.0 if count >= self.free else 0.0)


def test_attempts_are_counted_for_both_together(on_two: Play, monkeypatch: Any) -> None:
    async def scene(pair: Pair) -> None:
        monkeypatch.setattr(back_off, "OF_ACCOUNT", Long(FREE_PER_ACCOUNT, 900.0))
        for node in pair.nodes:
            node.accounts.sessions._attempts._attempts._longest = 0.1
        await pair.person("ada")
        looked_at = 0
        for number in range(4 * FREE_PER_ACCOUNT):
            # From everywhere, at each node in turn.
            try:
                login = pair.nodes[number % 2].login
                await login("ada", PASSWORD, "000000", f"192.0.2.{number}")
            except LoginRefusedError:
                looked_at += 1
            except TooManyAttemptsError as error:
                assert error.retry_after > 0
        assert looked_at == FREE_PER_ACCOUNT
        with pytest.raises(TooManyAttemptsError):
            await pair.other.login("ada", PASSWORD, pair.code("ada"), "198.51.100.7")
        # An owner's reset holds on both.
        await pair.one.people.reset("ada", by=pair.one.who(pair.owner))
        await asyncio.sleep(0.1)
        with pytest.raises(LoginRefusedError):
            await pair.other.login("ada", PASSWORD, "000000", "198.51.100.7")

    on_two(scene)


def test_where_it_is_known_its_owner_is_let_in_on_each_node(on_two: Play) -> None:
    async def scene(pair: Pair) -> None:
        await pair.person("ada")
        await pair.one.login("ada", PASSWORD, pair.code("ada"), PLACE)
        for number in range(FREE_PER_ACCOUNT + 1):
            with pytest.raises(CasemateError):
                await pair.one.login("ada", PASSWORD, "000000", f"192.0.2.{number}")
        await pair.read_again()
        assert await pair.other.login("ada", PASSWORD, pair.code("ada", 1), PLACE)

    on_two(scene)


def test_what_cannot_be_counted_is_refused_in_time(on_two: Play, monkeypatch: Any) -> None:
    async def scene(pair: Pair) -> None:
        await pair.person("ada")
        code = pair.code("ada")
        change = pair.other.store.change

        async def fails(operation: Any) -> Any:
            if isinstance(operation, CountAttempt):
                raise StoreError("away")
            return await change(operation)

        async def hangs(operation: Any) -> Any:
            await asyncio.sleep(60)

        monkeypatch.setattr(pair.other.store, "change", fails)
        with pytest.raises(StoreError):
            await pair.other.login("ada", PASSWORD, code, PLACE)
        monkeypatch.setattr(throttle_module, "ASK_SECONDS", 0.05)
        monkeypatch.setattr(throttle_module, "MAX_ASKING", 8)
        monkeypatch.setattr(pair.other.store, "change", hangs)
        logins = [pair.other.login("ada", PASSWORD, code, PLACE) for _ in range(50)]
        _, refused = await race(*logins)
        assert len(refused) == 50
        assert sum(isinstance(each, UnavailableError) for each in refused) == 50
        monkeypatch.setattr(pair.other.store, "change", change)
        assert await pair.other.login("ada", PASSWORD, code, PLACE), "nothing of it counts"

    on_two(scene)


def test_a_session_in_use_elsewhere_is_not_idle(on_two: Play) -> None:
    async def scene(pair: Pair) -> None:
        await pair.person("ada")
        issued = await pair.one.login("ada", PASSWORD, pair.code("ada"), PLACE)
        await pair.read_again()
        for node in pair.nodes:
            node.clock_off = 50.0
        pair.one.who(issued.text)
        await pair.one.accounts.flush()
        await pair.other.accounts.flush()
        for node in pair.nodes:
            node.clock_off = 100.0
        pair.other.who(issued.text)
        pair.other.clock_off = 170.0
        assert pair.other.accounts.authenticate(f"Bearer {issued.text}") is None

    on_two(scene)


def test_names_taken_at_the_same_moment_are_given_once(on_two: Play) -> None:
    async def scene(pair: Pair) -> None:
        by = pair.one.who(pair.owner)
        won, refused = await race(*(n.people.add("ada", NODE_OWNER, by=by) for n in pair.nodes))
        assert len(won) == 1 and isinstance(refused[0], ConflictError)
        roles = await pair.one.store.read(ReadUserRoles())
        assert [each.user for each in roles] == ["ada"]

    on_two(scene)
