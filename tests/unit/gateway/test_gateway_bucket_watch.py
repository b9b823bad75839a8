"""Whether a bucket answers is known also of one that nobody asks for anything."""

from __future__ import annotations

import asyncio
import threading

import pytest

from casemate.blobs.errors import BlobsForeignError, BlobsUnreachableError
from casemate.gateway import bucket_watch
from casemate.gateway.bucket_watch import LOOK_SECONDS, BucketWatch


class Bucket:
    """Answers what it is told to, as often as it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 0.0
        self.fault: Exception | None = None
        self.held = threading.Event()
        self.held.set()

    def __call__(self) -> None:
        self.asked += 1
        self.held.wait(10)
        if self.fault is not None:
            raise self.fault


def test_one_that_is_well_is_asked_now_and_then_and_one_that_is_away_each_time() -> None:
    async def scene() -> None:
        bucket = Bucket()
        watch = BucketWatch(bucket, lambda: bucket.now)
        for _ in range(3):
            assert await watch.problems() == ""
        assert bucket.asked == 1
        bucket.now += LOOK_SECONDS
        for fault in (
            BlobsUnreachableError("It is away."),
            BlobsForeignError("It is another's."),
            OSError(24, "Too many open files"),
        ):
            bucket.fault = fault
            assert str(fault.args[-1]) in await watch.problems()
        assert bucket.asked == 4
        bucket.fault = None
        assert await watch.problems() == ""
        assert await watch.problems() == ""
        assert bucket.asked == 5

    asyncio.run(scene())


def test_one_that_does_not_answer_is_told_and_asked_no_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bucket_watch, "WAIT_SECONDS", 0.01)

    async def scene() -> None:
        bucket = Bucket()
        watch = BucketWatch(bucket, lambda: bucket.now)
        bucket.held.clear()
        for _ in range(3):
            assert "has not answered" in await watch.problems()
        assert bucket.asked == 1
        bucket.held.set()
        monkeypatch.setattr(bucket_watch, "WAIT_SECONDS", 5.0)
        assert await watch.problems() == ""

    asyncio.run(scene())
