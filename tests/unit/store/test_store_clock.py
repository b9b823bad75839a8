"""By which clock a store notes times: that of its server where nodes share one."""

from __future__ import annotations

import asyncio
import time

import pytest
from store_samples import deploy, memory, new, token, user

from casemate import set_clock
from casemate.model.account import ENDED_KEPT
from casemate.model.deployment import TrialTerms
from casemate.operations.accounts import (
    KeepToken,
    KeepUser,
    ReadTokens,
    ReadUsers,
    RevokeSessions,
    RevokeTokens,
    UseOnce,
)
from casemate.operations.deployments import KeepVersions
from casemate.operations.functions import ListFunctions
from casemate.operations.trials import StartTrial
from casemate.postgresql.settings import Settings
from casemate.store.postgresql.store import PostgresqlStore
from casemate.store.sqlite.accounts import add_token, tokens
from casemate.store.sqlite.schema import migrate
from casemate.store.sqlite.upkeep import StoreDuties
from casemate.store.sqlite.used_once import use
from support.proved_store import proved
from support.set_time import Clock

CLUSTER = "tests"
OFF = 45.0
"""Less than what has a node take no calls."""


def test_a_node_whose_clock_is_off_notes_the_servers_times(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was kept before a revocation has a time of the server's, too."""
    true = time.time
    monkeypatch.setattr(time, "time", lambda: true() + OFF)

    async def run() -> list[float]:
        store = proved(PostgresqlStore.open(Settings.of_url(database), cluster=CLUSTER))
        try:
            number = await deploy(store)
            (version,) = await store.change(KeepVersions(versions=(new(digest="b" * 64),), by="k"))
            terms = TrialTerms(weight=10, seconds=600.0)
            trial = await store.change(
                StartTrial(project="demo", function="thumbs", version=number, terms=terms)
            )
            assert trial.trial is not None
            kept = await store.change(KeepUser(user=user(created_at=time.time())))
            assert await store.read(ReadUsers()) == (kept,)
            later = KeepUser(user=user("bob", created_at=1.0), after=true() + 3600.0)
            assert (await store.change(later)).created_at == later.after
            for name in ("k1", "k2"):
                await store.change(KeepToken(token=token(name, name, user="ada")))
            (revoked,) = await store.change(RevokeTokens(ids=("k1",)))
            assert await store.change(RevokeSessions(user="ada")) == 1
            (function,) = (await store.read(ListFunctions())).functions
            ended = [one.revoked_at for one in await store.read(ReadTokens())]
            return [
                *(kept.created_at, version.created_at, trial.changed_at, trial.trial.until - 600.0),
                *(one.created_at for one in function.versions),
                *(at for at in (revoked.revoked_at, *ended) if at is not None),
            ]
        finally:
            await store.close()

    found = asyncio.run(run())
    assert len(found) == 9
    assert [at for at in found if abs(at - true()) > OFF / 2] == []


def test_what_works_once_does_so_though_the_clock_was_ahead_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An ID token was taken twice: what said that it was used was over in between."""
    clock = Clock()
    monkeypatch.setattr(set_clock, "time", clock)
    for module in ("upkeep", "used_once"):
        monkeypatch.setattr(f"casemate.store.sqlite.{module}.now_of", lambda _: clock.now)
    connection = memory()
    migrate(connection)
    duties = StoreDuties()
    nonce, other = (UseOnce(kind="nonce", name=name, seconds=600.0) for name in "ab")
    assert use(connection, nonce)
    clock.step(86_400.0)
    duties.upkeep(connection)
    assert use(connection, other)
    clock.step(-86_400.0)
    assert not use(connection, nonce)
    clock.pass_(601.0)
    duties.upkeep(connection)
    assert use(connection, nonce), "forgotten once its own time is over"
    connection.close()


def test_tokens_are_not_forgotten_by_a_clock_that_is_set_right_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Set forward for a minute, it took all tokens that had an end, of all nodes."""
    clock = Clock()
    monkeypatch.setattr(set_clock, "time", clock)
    monkeypatch.setattr("casemate.store.sqlite.upkeep.now_of", lambda _: clock.now)
    connection = memory()
    migrate(connection)
    add_token(connection, KeepToken(token=token(expires_at=clock.now + 3600.0)))
    duties = StoreDuties()
    clock.step(2 * ENDED_KEPT)
    duties.upkeep(connection)
    assert len(tokens(connection, ReadTokens())) == 1
    clock.pass_(2 * ENDED_KEPT)
    duties.upkeep(connection)
    assert tokens(connection, ReadTokens()) == ()
    connection.close()
