"""Trials as they are kept: what they begin on, what they go back to, and that they end once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
from store_samples import Opening, new

from casemate.model.deployment import LIVE, Alias, TrialTerms
from casemate.model.errors import ConflictError, NotFoundError
from casemate.operations.deployments import ForgetVersion, KeepVersions
from casemate.operations.functions import ListFunctions, SetAlias, Target
from casemate.operations.trials import EndTrial, StartTrial
from casemate.store import Store

TERMS = TrialTerms(weight=10, seconds=60)


def start(version: int, terms: TrialTerms = TERMS) -> StartTrial:
    return StartTrial(project="demo", function="thumbs", version=version, terms=terms)


def end(alias: Alias, *, promote: bool) -> EndTrial:
    assert alias.trial is not None
    return EndTrial(
        project="demo",
        function="thumbs",
        version=alias.trial.version,
        since=alias.changed_at,
        promote=promote,
    )


def keeping(**changes: object) -> KeepVersions:
    return KeepVersions(versions=(new(**changes),), by="k")


async def live(store: Store) -> Alias:
    (function,) = (await store.read(ListFunctions())).functions
    return next(alias for alias in function.aliases if alias.name == LIVE)


def shares(alias: Alias) -> dict[int, int]:
    return {target.version: target.weight for target in alias.targets}


def played(opening: Opening, scene: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = opening()
        try:
            await scene(store)
        finally:
            await store.close()

    asyncio.run(run())


@pytest.mark.parametrize("promote", [True, False])
def test_a_trial_begins_survives_a_restart_and_ends_once(opening: Opening, promote: bool) -> None:
    async def begin(store: Store) -> None:
        await store.change(keeping())
        await store.change(keeping())
        targets = (Target(version=1, weight=100),)
        wanted = SetAlias(project="demo", function="thumbs", name=LIVE, targets=targets)
        await store.change(wanted)
        begun = await store.change(start(2))
        assert shares(begun) == {1: 90, 2: 10}

    async def finish(store: Store) -> None:
        now = await live(store)
        assert now.trial is not None
        assert (now.trial.version, now.trial.back) == (2, 1)
        assert 50 < now.trial.until - time.time() <= 60
        other = await store.change(start(2, TrialTerms(weight=50, seconds=60)))
        assert shares(other) == {1: 50, 2: 50}
        assert other.trial is not None and other.trial.back == 1
        with pytest.raises(ConflictError, match="is over"):  # those terms are gone
            await store.change(end(now, promote=True))
        ended = await store.change(end(other, promote=promote))
        assert shares(ended) == ({2: 100} if promote else {1: 100})
        assert ended.trial is None and await live(store) == ended
        with pytest.raises(ConflictError, match="is over"):
            await store.change(end(other, promote=not promote))

    played(opening, begin)
    played(opening, finish)


def test_a_deploy_that_begins_a_trial_is_kept_with_it_or_not_at_all(opening: Opening) -> None:
    async def scene(store: Store) -> None:
        with pytest.raises(ConflictError, match="nothing to go back to"):
            await store.change(keeping(trial=TERMS))
        assert (await store.read(ListFunctions())).functions == ()
        await store.change(keeping())
        before = await live(store)
        (version,) = await store.change(keeping(trial=TERMS))
        now = await live(store)
        assert shares(now) == {before.targets[0].version: 90, version.number: 10}
        with pytest.raises(ConflictError, match="shared between versions"):
            await store.change(keeping(trial=TERMS))
        with pytest.raises(ConflictError, match="leads to version"):  # the way back stays
            number = before.targets[0].version
            await store.change(ForgetVersion(project="demo", function="thumbs", number=number))
        (last,) = await store.change(keeping())  # the newest decision counts
        assert shares(await live(store)) == {last.number: 100}
        with pytest.raises(ConflictError, match="is over"):
            await store.change(end(now, promote=True))

    played(opening, scene)


def test_what_cannot_be_tried(opening: Opening) -> None:
    async def scene(store: Store) -> None:
        with pytest.raises(NotFoundError):
            await store.change(start(1))
        await store.change(keeping())
        with pytest.raises(ConflictError, match="go to version 1 already"):
            await store.change(start(1))
        with pytest.raises(NotFoundError, match="no version 7"):
            await store.change(start(7))
        by_hand = await live(store)
        with pytest.raises(ConflictError, match="is over"):
            await store.change(
                EndTrial(
                    project="demo",
                    function="thumbs",
                    version=1,
                    since=by_hand.changed_at,
                    promote=True,
                )
            )

    played(opening, scene)
