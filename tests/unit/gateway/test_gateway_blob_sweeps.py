"""Blobs of bundles that no row names go, by one node, whatever a sweep before has met."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from casemate.gateway.blob_sweeps import BlobSweeps
from casemate.model.errors import UnavailableError


def run(first: list[bool], outcomes: list[int | Exception]) -> tuple[int, list[str]]:
    """Return how often was swept, and what was wrong after each look."""
    told: list[str] = []
    swept = 0
    turns: Iterator[bool] = iter(first)
    results = iter(outcomes)

    async def is_first() -> bool:
        return next(turns)

    async def sweep() -> int:
        nonlocal swept
        swept += 1
        outcome = next(results)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def scene() -> None:
        sweeps = BlobSweeps(sweep, is_first, first=0.01, every=0.01)
        sweeps.start()
        for _ in first:
            await asyncio.sleep(0.011)
            told.append(sweeps.problems())
        await sweeps.close()

    asyncio.run(scene())
    return swept, told


def test_only_the_first_node_sweeps() -> None:
    swept, told = run([False] * 3, [])
    assert swept == 0
    assert not any(told)


def test_a_sweep_that_fails_is_told_and_tried_again() -> None:
    swept, told = run([True] * 4, [UnavailableError("the bucket is away"), *[0] * 4])
    assert swept >= 2
    assert "the bucket is away" in told[0]
    assert told[-1] == ""
