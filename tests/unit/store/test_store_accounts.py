"""Users, roles and tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from store_samples import Opening, digest, token, user

from casemate.model.account import UserRoles
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.principal import RoleBinding
from casemate.operations.accounts import (
    AcceptTotpStep,
    ForgetUser,
    KeepToken,
    KeepTokenUse,
    KeepUser,
    KeepUserRoles,
    ReadTokens,
    ReadUserRoles,
    ReadUsers,
    ReplaceUser,
    RevokeSessions,
    RevokeTokens,
)
from casemate.store import Store


def test_tokens_come_oldest_first_and_whole(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        younger, older = token("a", "x", created_at=2.0), token("b", "y")
        same = token("c", "z", created_at=2.0)
        for one in (younger, older, same):
            await store.change(KeepToken(token=one))
        assert await store.read(ReadTokens()) == (older, younger, same)
        await store.close()

    asyncio.run(run())


def test_all_of_a_line_are_revoked_or_none(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        await store.change(KeepToken(token=token("k1", "one")))
        await store.change(
            KeepToken(token=msgspec.structs.replace(token("k2", "two"), made_with="k1"))
        )
        with pytest.raises(NotFoundError, match="'k9'"):
            await store.change(RevokeTokens(ids=("k1", "k9", "k2")))
        assert [t.revoked_at for t in await store.read(ReadTokens())] == [None, None]
        revoked = await store.change(RevokeTokens(ids=("k1", "k2")))
        assert [t.made_with for t in revoked] == [None, "k1"]
        assert await store.read(ReadTokens()) == revoked
        await store.close()

    asyncio.run(run())


def test_revoking_marks_once_and_frees_the_name_but_not_the_id(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        await store.change(KeepToken(token=token()))
        with pytest.raises(ConflictError, match="id 'k1'"):
            await store.change(KeepToken(token=token("k1", "other")))
        with pytest.raises(ConflictError, match="name 'first'"):
            await store.change(KeepToken(token=token("k2")))
        before = time.time()
        (revoked,) = await store.change(RevokeTokens(ids=("k1",)))
        assert revoked.revoked_at is not None
        assert before <= revoked.revoked_at <= time.time()
        assert await store.change(RevokeTokens(ids=("k1",))) == (revoked,)
        assert await store.read(ReadTokens()) == (revoked,)
        await store.change(KeepToken(token=token("k2")))
        with pytest.raises(ConflictError, match="id 'k1'"):
            await store.change(KeepToken(token=token("k1", "third")))
        with pytest.raises(NotFoundError, match="'k9'"):
            await store.change(RevokeTokens(ids=("k9",)))
        await store.close()

    asyncio.run(run())


def test_a_name_is_taken_for_its_maker_alone(opening: Opening) -> None:
    async def run() -> None:
        store = opening()
        await store.change(KeepToken(token=token("k1", "ci", created_by="user:ada")))
        await store.change(KeepToken(token=token("k2", "ci", created_by="user:eve")))
        with pytest.raises(ConflictError, match="You have a service token"):
            await store.change(KeepToken(token=token("k3", "ci", created_by="user:eve")))
        await store.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "changes", [{"sha256": "secret"}, {"sha256": ""}, {"id": ""}, {"created_at": float("nan")}]
)
def test_what_is_no_token_is_refused(opening: Opening, changes: dict[str, object]) -> None:
    async def run() -> None:
        store = opening()
        with pytest.raises(InvalidInputError):
            await store.change(KeepToken(token=msgspec.structs.replace(token(), **changes)))
        assert await store.read(ReadTokens()) == ()
        await store.close()

    asyncio.run(run())


def with_store(opening: Opening, check: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = opening()
        await check(store)
        await store.close()

    asyncio.run(run())


def test_users_come_by_name_and_whole_and_survive_a_restart(opening: Opening) -> None:
    whole = user(
        "bob",
        password="$argon2id$",
        totp=b"\0sealed",
        totp_last=7,
        oidc_issuer="https://id.example",
        oidc_subject="4711",
        enrolment_sha256=digest("a"),
        enrolment_expires_at=9.5,
        disabled_at=3.0,
    )

    kept = []

    async def add(store: Store) -> None:
        for one in (user("ada"), whole):
            kept.append(await store.change(KeepUser(user=one)))
            # Since when it is there is told by the clock of a server that has one.
            assert msgspec.structs.replace(kept[-1], created_at=one.created_at) == one
        with pytest.raises(ConflictError, match="'ada'") as refused:
            await store.change(KeepUser(user=user("ada", password="other")))
        # Who adds again, because no answer came, has no code of the one that there is.
        assert "`casemate users reset ada` prints a new code" in (refused.value.next_step or "")

    async def find(store: Store) -> None:
        assert await store.read(ReadUsers()) == tuple(kept)

    with_store(opening, add)
    with_store(opening, find)


def test_an_oidc_identity_belongs_to_one_user(opening: Opening) -> None:
    identity = {"oidc_issuer": "https://id.example", "oidc_subject": "4711"}

    async def check(store: Store) -> None:
        await store.change(KeepUser(user=user("ada", **identity)))
        await store.change(KeepUser(user=user("bob")))
        for call in (
            store.change(KeepUser(user=user("eve", **identity))),
            store.change(ReplaceUser(user=user("bob", **identity))),
        ):
            with pytest.raises(ConflictError, match="identity"):
                await call
        with pytest.raises(InvalidInputError, match="both or none"):
            await store.change(KeepUser(user=user("eve", oidc_subject="4711")))
        await store.change(ReplaceUser(user=user("ada", password="new", **identity)))
        await store.change(
            KeepUser(user=user("eve", **{**identity, "oidc_issuer": "https://other.example"}))
        )
        with pytest.raises(NotFoundError):
            await store.change(ReplaceUser(user=user("nobody")))

    with_store(opening, check)


def test_a_code_is_accepted_once_however_many_ask_at_the_same_time(opening: Opening) -> None:
    async def check(store: Store) -> None:
        await store.change(KeepUser(user=user("ada", totp=b"s", totp_last=10)))
        answers = await asyncio.gather(
            *(store.change(AcceptTotpStep(user="ada", step=11)) for _ in range(50))
        )
        assert answers.count(True) == 1
        assert not await store.change(AcceptTotpStep(user="ada", step=10))
        assert not await store.change(AcceptTotpStep(user="nobody", step=99))
        # A change prepared before the code was used does not make it usable again.
        await store.change(ReplaceUser(user=user("ada", totp=b"s", totp_last=10, password="new")))
        assert not await store.change(AcceptTotpStep(user="ada", step=11))
        # A new second factor starts anew.
        await store.change(ReplaceUser(user=user("ada")))
        await store.change(ReplaceUser(user=user("ada", totp=b"t")))
        assert await store.change(AcceptTotpStep(user="ada", step=5))

    with_store(opening, check)


def test_a_removed_user_leaves_no_role_and_no_token_in_force(opening: Opening) -> None:
    async def check(store: Store) -> None:
        await store.change(KeepUser(user=user("ada")))
        bindings = (RoleBinding(role="owner"), RoleBinding(role="invoker", project="demo"))
        await store.change(KeepUserRoles(roles=UserRoles(user="ada", bindings=bindings)))
        assert await store.read(ReadUserRoles()) == (UserRoles(user="ada", bindings=bindings),)
        await store.change(KeepToken(token=token("s1", "session", user="ada")))
        await store.change(KeepToken(token=token("s2", "session", user="ada")))
        await store.change(ForgetUser(user="ada"))
        assert await store.read(ReadUserRoles()) == ()
        assert all(t.revoked_at is not None for t in await store.read(ReadTokens()))
        await store.change(KeepUser(user=user("ada")))
        assert await store.read(ReadUserRoles()) == ()
        for call in (
            store.change(ForgetUser(user="eve")),
            store.change(KeepUserRoles(roles=UserRoles(user="eve", bindings=bindings))),
            store.change(KeepToken(token=token("s3", user="eve"))),
        ):
            with pytest.raises(NotFoundError, match="'eve'"):
                await call

    with_store(opening, check)


def test_no_bindings_is_no_row_and_replacing_leaves_none_behind(opening: Opening) -> None:
    async def check(store: Store) -> None:
        await store.change(KeepUser(user=user("ada")))
        await store.change(
            KeepUserRoles(roles=UserRoles(user="ada", bindings=(RoleBinding(role="owner"),)))
        )
        await store.change(KeepUserRoles(roles=UserRoles(user="ada", bindings=())))
        assert await store.read(ReadUserRoles()) == ()

    with_store(opening, check)


def test_names_of_ended_service_tokens_and_of_sessions_are_free(opening: Opening) -> None:
    async def check(store: Store) -> None:
        await store.change(KeepUser(user=user("ada")))
        await store.change(KeepToken(token=token("t1", "ci", expires_at=time.time() - 1)))
        await store.change(KeepToken(token=token("t2", "ci")))
        await store.change(KeepToken(token=token("t3", "ci", user="ada")))
        with pytest.raises(ConflictError, match="'ci'"):
            await store.change(KeepToken(token=token("t4", "ci")))

    with_store(opening, check)


def test_revoking_all_of_a_user_counts_those_in_force(opening: Opening) -> None:
    async def check(store: Store) -> None:
        await store.change(KeepUser(user=user("ada")))
        await store.change(KeepToken(token=token("t0", "service")))
        await store.change(KeepToken(token=token("t1", user="ada")))
        await store.change(KeepToken(token=token("t2", user="ada", expires_at=1.0)))
        await store.change(KeepToken(token=token("t3", user="ada", revoked_at=2.0)))
        assert await store.change(RevokeSessions(user="ada")) == 1
        assert await store.change(RevokeSessions(user="ada")) == 0
        found = {t.id: t.revoked_at for t in await store.read(ReadTokens())}
        assert found["t0"] is None
        assert found["t3"] == 2.0
        assert found["t1"] is not None

    with_store(opening, check)


def test_the_last_use_only_goes_forward(opening: Opening) -> None:
    async def check(store: Store) -> None:
        await store.change(KeepToken(token=token("t1", "a")))
        await store.change(KeepTokenUse(used={"t1": 5.0, "unknown": 5.0}))
        await store.change(KeepTokenUse(used={"t1": 3.0}))
        await store.change(KeepTokenUse(used={}))
        assert [t.last_used_at for t in await store.read(ReadTokens())] == [5.0]

    with_store(opening, check)
