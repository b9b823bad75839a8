"""Answers that are sent piece by piece: who asked may have lost the right to them meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_ASK_SECONDS = 0.25
"""How long a decision holds of an answer that is being sent. A piece may take a millisecond."""


async def while_allowed(
    pieces: AsyncIterator[bytes], still: Callable[[], None]
) -> AsyncIterator[bytes]:
    """Yield pieces for as long as who asks may have them: what `still` raises breaks it off."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    async for piece in pieces:
        if loop.time() - asked >= _ASK_SECONDS:
            still()
            asked = loop.time()
        yield piece


class HeldResponse(StreamingResponse):
    """Holds something until it is sent, a slot or a file, and lets go of it however that ends.

    Whoever does not send it at all has to `release` it.
    """

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        held: contextlib.AsyncExitStack,
        *,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        """Send `pieces`; `held` becomes the answer's."""
        super().__init__(pieces, media_type=media_type, headers=dict(headers))
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send, and let go."""
        async with self._held:
            await super().__call__(scope, receive, send)

    async def release(self) -> None:
        """Let go without having sent anything."""
        await self._held.aclose()
