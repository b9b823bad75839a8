"""An answer that is sent piece by piece and holds something until it is: a slot, a file."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class HeldResponse(StreamingResponse):
    """Lets go of what it holds however the sending ends.

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
