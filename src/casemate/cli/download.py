"""Receiving what is too long to be kept in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from casemate.cli.client import CONNECT_SECONDS, NodeClient


@contextmanager
def download(client: NodeClient, path: str, *, seconds: float) -> Iterator[Iterator[bytes]]:
    """Give the pieces of a response as they come. `seconds` is the longest silence.

    Raises the error that a response which is no success stands for, UnreachableError if the node
    goes away.
    """
    timeout = httpx2.Timeout(seconds, connect=CONNECT_SECONDS)
    try:
        with client._http.stream(
            "GET", path, headers=client._authorization(), timeout=timeout
        ) as response:
            if not response.is_success:
                response.read()
                raise client.failure(response)
            yield response.iter_raw()
    except (httpx2.TransportError, httpx2.DecodingError) as error:
        raise client._unreachable(error) from error
