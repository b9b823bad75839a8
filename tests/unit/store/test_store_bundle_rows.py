"""Rows of bundles: which blob each has, and that no version is left without one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from store_samples import new

from casemate.model.errors import ConflictError
from casemate.operations.deployments import ForgetFunction, KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.postgresql.settings import Settings
from casemate.store.bundle_rows import BundleRow
from casemate.store.postgresql.store import PostgresqlStore
from support.database import Server

DIGEST = new().digest
ROW = BundleRow(DIGEST, "b" * 32, 10, 1.0)


@pytest.fixture
def on_store(
    postgresql_server: Server,
) -> Callable[[Callable[[PostgresqlStore], Awaitable[None]]], None]:
    url = postgresql_server.url(postgresql_server.database())

    def play(scene: Callable[[PostgresqlStore], Awaitable[None]]) -> None:
        async def run() -> None:
            store = PostgresqlStore.open(Settings.of_url(url), cluster="tests")
            try:
                await scene(store)
            finally:
                await store.close()

        asyncio.run(run())

    return play


def test_a_row_is_kept_replaced_and_forgotten(on_store) -> None:
    async def scene(store: PostgresqlStore) -> None:
        rows = store.bundle_rows()
        assert await rows.find(DIGEST) is None
        assert await rows.keep(ROW) is None
        newer = ROW._replace(blob="c" * 32, at=2.0)
        assert await rows.keep(newer) == ROW
        assert await rows.find(DIGEST) == newer
        assert await rows.rows() == [newer]
        assert not await rows.forget(DIGEST, ROW.blob), "it is of another blob now"
        assert await rows.forget(DIGEST, newer.blob)
        assert not await rows.forget(DIGEST, newer.blob)
        assert await rows.rows() == []

    on_store(scene)


def test_a_bundle_that_a_version_needs_stays(on_store) -> None:
    async def scene(store: PostgresqlStore) -> None:
        rows = store.bundle_rows()
        await rows.keep(ROW)
        (version,) = await store.change(KeepVersions(versions=(new(),), by="k"))
        assert not await rows.forget(DIGEST, ROW.blob)
        await store.change(ForgetFunction(project=version.project, function=version.function))
        assert await rows.forget(DIGEST, ROW.blob)

    on_store(scene)


def test_no_version_is_made_without_its_bundle(on_store) -> None:
    async def scene(store: PostgresqlStore) -> None:
        rows = store.bundle_rows()
        with pytest.raises(ConflictError, match="was removed"):
            await store.change(KeepVersions(versions=(new(),), by="k"))
        assert (await store.read(ListFunctions())).functions == ()
        await rows.keep(ROW)
        await store.change(KeepVersions(versions=(new(),), by="k"))

    on_store(scene)


def test_of_a_removal_and_a_deploy_at_once_one_wins(on_store) -> None:
    async def scene(store: PostgresqlStore) -> None:
        rows = store.bundle_rows()
        for _ in range(20):
            await rows.keep(ROW)
            gone, made = await asyncio.gather(
                rows.forget(DIGEST, ROW.blob),
                store.change(KeepVersions(versions=(new(),), by="k")),
                return_exceptions=True,
            )
            assert isinstance(made, ConflictError) == (gone is True)
            if not gone:
                (version,) = made
                forget = ForgetFunction(project=version.project, function=version.function)
                await store.change(forget)

    on_store(scene)
