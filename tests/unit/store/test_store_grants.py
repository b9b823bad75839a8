"""Approvals, counted uses, policy files and the node's own values."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from store_samples import Opening, deploy, new

from casemate.model.account import PolicyFile
from casemate.model.denial import GrantApproval, GrantUse
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.model.grant import Grant, GrantKind
from casemate.operations.deployments import ForgetFunction, KeepVersions
from casemate.operations.grants import CountUses, ListApprovals, ListUses
from casemate.operations.node import KeepNodeValue, ReadNodeValue, ReadNodeValues
from casemate.operations.policies import KeepPolicy, ReadPolicies, RemovePolicy
from casemate.store import Store
from casemate.store.sqlite.policies import MAX_POLICY, MAX_VALUE

GRANTS = (
    Grant(kind=GrantKind.BUCKET, name="uploads", actions=("read", "write"), prefixes=("a/",)),
    Grant(kind=GrantKind.EGRESS, name="*.example:443", actions=("connect",), exception="why"),
)


def use(**changes: object) -> GrantUse:
    values: dict[str, object] = {
        "project": "demo",
        "function": "thumbs",
        "version": 1,
        "grant": "bucket uploads",
        "action": "read",
        "first_at": 10.0,
        "last_at": 20.0,
        "count": 3,
    }
    return GrantUse(**{**values, **changes})  # type: ignore[arg-type]


def with_store(opening: Opening, check: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = opening()
        await check(store)
        await store.close()

    asyncio.run(run())


def test_approvals_come_newest_first_and_outlive_the_function(opening: Opening) -> None:
    async def check(store: Store) -> None:
        versions = await store.change(
            KeepVersions(versions=(new(approved=GRANTS), new(approved=GRANTS)), by="user:ada")
        )
        kept = [
            GrantApproval(
                project="demo",
                function="thumbs",
                version=version.number,
                added=GRANTS,
                by="user:ada",
                at=version.created_at,
            )
            for version in versions
        ]
        other = new(function="other", approved=GRANTS)
        await store.change(KeepVersions(versions=(other,), by="user:ada"))
        await store.change(ForgetFunction(project="demo", function="thumbs"))
        assert await store.read(ListApprovals(project="demo", function="thumbs")) == tuple(
            reversed(kept)
        )
        assert await store.read(ListApprovals(project="demo", function="nothing")) == ()

    with_store(opening, check)


def test_uses_add_up_for_the_same_thing_only(opening: Opening) -> None:
    async def check(store: Store) -> None:
        await store.change(CountUses(uses=(use(), use(first_at=5.0, last_at=6.0, count=4))))
        await store.change(CountUses(uses=(use(action="write"), use(prefix="a/"), use(version=2))))
        await store.change(CountUses(uses=(use(last_at=99.0, count=1),)))
        found = await store.read(ListUses(project="demo", function="thumbs"))
        assert found == (
            use(version=2),
            use(first_at=5.0, last_at=99.0, count=8),
            use(prefix="a/"),
            use(action="write"),
        )
        assert await store.read(ListUses(project="demo", function="thumbs", version=2)) == (
            use(version=2),
        )
        assert await store.read(ListUses(project="demo", function="thumbs", version=9)) == ()

    with_store(opening, check)


def test_uses_go_with_their_function(opening: Opening) -> None:
    async def check(store: Store) -> None:
        await deploy(store)
        await store.change(CountUses(uses=(use(), use(function="other"))))
        await store.change(ForgetFunction(project="demo", function="thumbs"))
        assert await store.read(ListUses(project="demo", function="thumbs")) == ()
        assert await store.read(ListUses(project="demo", function="other")) == (
            use(function="other"),
        )

    with_store(opening, check)


@pytest.mark.parametrize("count", [0, -1, 2**54, True, 1.5])
def test_a_count_that_is_none_changes_nothing(opening: Opening, count: object) -> None:
    async def check(store: Store) -> None:
        with pytest.raises(InvalidInputError):
            await store.change(CountUses(uses=(use(), use(action="write", count=count))))
        assert await store.read(ListUses(project="demo", function="thumbs")) == ()

    with_store(opening, check)


def test_policy_files_are_replaced_and_removed(opening: Opening) -> None:
    async def check(store: Store) -> None:
        policy = PolicyFile(name="b", text="permit();", changed_at=1.0, changed_by="user:ada")
        await store.change(KeepPolicy(file=policy))
        await store.change(KeepPolicy(file=msgspec.structs.replace(policy, name="a")))
        newer = msgspec.structs.replace(policy, text="forbid();", changed_at=2.0)
        await store.change(KeepPolicy(file=newer))
        assert await store.read(ReadPolicies()) == (
            msgspec.structs.replace(policy, name="a"),
            newer,
        )
        await store.change(RemovePolicy(name="a"))
        with pytest.raises(NotFoundError, match="'a'"):
            await store.change(RemovePolicy(name="a"))
        for wrong in ({"name": ""}, {"name": "n" * 257}, {"text": "x" * (MAX_POLICY + 1)}):
            with pytest.raises(InvalidInputError):
                await store.change(KeepPolicy(file=msgspec.structs.replace(policy, **wrong)))
        assert await store.read(ReadPolicies()) == (newer,)

    with_store(opening, check)


def test_node_values_are_bytes_of_a_bounded_length(opening: Opening) -> None:
    async def check(store: Store) -> None:
        assert await store.read(ReadNodeValue(name="certificate")) is None
        await store.change(KeepNodeValue(name="certificate", value=b"\0\xff"))
        await store.change(KeepNodeValue(name="certificate", value=b""))
        assert await store.read(ReadNodeValue(name="certificate")) == b""
        await store.change(KeepNodeValue(name="other", value=b"o"))
        asked = ReadNodeValues(names=("other", "never there", "certificate"))
        assert await store.read(asked) == (b"o", None, b"")
        for name, value in (("", b"x"), ("n" * 257, b"x"), ("n", b"x" * (MAX_VALUE + 1))):
            with pytest.raises(InvalidInputError):
                await store.change(KeepNodeValue(name=name, value=value))

    with_store(opening, check)
