"""Arbitrary bytes against a running server: it answers or closes, and then serves others."""

from __future__ import annotations

import asyncio
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from test_triggers_reader import CUTS, split, streams
from triggers_server import GET_CLOSE, Served, run, serving

from casemate.triggers.http_server import HttpLimits

_LIMITS = HttpLimits(header_bytes=2000, target_bytes=200, drain_idle_seconds=0.01)


async def _statuses(served: Served, pieces: list[bytes]) -> list[bytes]:
    client = await served.connect()
    for piece in pieces:
        await client.send(piece)
        await asyncio.sleep(0)
    await client.end()
    data = await client.rest()
    client.close()
    return re.findall(rb"HTTP/1\.1 (\d{3}) ", data)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.one_of(streams(), st.binary(max_size=300)), CUTS), max_size=8))
def test_nothing_sent_can_disturb_the_server(sent: list[tuple[bytes, list[int]]]) -> None:
    async def main() -> None:
        async with serving(limits=_LIMITS) as served:
            groups = await asyncio.gather(
                *(_statuses(served, split(data, cuts)) for data, cuts in sent),
                *(_statuses(served, [data]) for data, _ in sent),
            )
            half = len(sent)
            assert groups[:half] == groups[half:]
            assert {status[:1] for group in groups for status in group} <= {b"2", b"4", b"5"}
            assert served.errors == []
            assert (await served.talk(GET_CLOSE)).startswith(b"HTTP/1.1 200 OK\r\n")
            await served.settled()
            assert served.server._context is not None
            assert served.server._context.buffered == 0

    run(main())
