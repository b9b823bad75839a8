"""Whether a cluster's bucket answers this node, and is still the cluster's: a part of its health.

A node that is not asked for what is in it would not know otherwise that it is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from casemate.blobs.credentials import Credentials
from casemate.blobs.errors import BlobsError
from casemate.blobs.identity import require_identity
from casemate.blobs.s3_client import Limits, S3Client
from casemate.blobs.s3_url import S3Url

LOOK_SECONDS: Final = 30.0
"""Between two questions to a bucket that is well; one that is not is asked at each look."""
WAIT_SECONDS: Final = 2.0
"""How long a look waits for the answer; what comes later the next one tells."""
LIMITS: Final = Limits(request=5.0, connect=2.0, attempts=2)


def asking(
    url: S3Url, credentials: Credentials, cluster: str, bucket: str
) -> tuple[Callable[[], object], Callable[[], None]]:
    """Return what asks a bucket whose it is, by connections of its own, and what closes those."""
    client = S3Client(url, credentials, LIMITS)
    return partial(require_identity, client, cluster, bucket), client.close


class BucketWatch:
    """Asks on a thread, one question at a time. In the event loop's thread only."""

    def __init__(
        self, ask: Callable[[], object], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Have not asked yet. `ask` blocks, within `LIMITS`, and raises BlobsError."""
        self._ask = ask
        self._clock = clock
        self._problem = ""
        self._due = clock()
        self._asking: asyncio.Task[None] | None = None

    async def problems(self) -> str:
        """Return what is wrong with it, empty if nothing is."""
        if self._asking is None and (self._problem or self._clock() >= self._due):
            self._asking = asyncio.ensure_future(self._look())
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=WAIT_SECONDS)
        if self._asking is not None:
            return self._problem or "The object store has not answered yet."
        return self._problem

    async def _look(self) -> None:
        try:
            await asyncio.to_thread(self._ask)
            self._problem = ""
        except BlobsError as error:
            self._problem = error.message
        except OSError as error:
            self._problem = f"The object store cannot be asked: {error.strerror or error}."
        finally:
            self._due = self._clock() + LOOK_SECONDS
            self._asking = None
