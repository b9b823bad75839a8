"""What gateways that are gone had not told, in the recorder."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence

from casemate.decoding import DECODING_ERRORS
from casemate.recorder import begun, outstanding
from casemate.recorder.errors import RecorderError, RecorderInputError
from casemate.recorder.protocol import SESSION_BYTES, Take

GONE_SECONDS = 0.3
"""How long a gateway whose connection has ended may take to be gone."""
_LOOK_SECONDS = 0.01
_log = logging.getLogger("casemate.recorder")


class LeftOver:
    """The memory of gateways: of some that are gone, and of the one that is served."""

    def __init__(
        self,
        memories: Sequence[int],
        journal: str,
        keep: Callable[[list[Take]], Awaitable[object]],
        not_told: frozenset[str] = frozenset(),
    ) -> None:
        """Have what stands there kept by `keep`, for the journal with this key.

        Kinds of `not_told` are no gateway's to tell.
        """
        self._memories = list(memories)
        self._journal = hashlib.blake2b(journal.encode(), digest_size=8).hexdigest()
        self._keep = keep
        self._not_told = not_told

    async def keep_earlier(self) -> None:
        """Keep what was left before, and say that this journal's recorder serves the others.

        Raises CasemateError where it cannot be kept: nothing is forgotten then.
        """
        for each in list(self._memories):
            if self._is_left(each):
                await self._keep_one(each)
            else:
                outstanding.mark(each, self._journal.encode())

    async def is_gateway_gone(self) -> bool:
        """Tell whether the gateway will tell nothing more: one that lives sends all of it again."""
        loop = asyncio.get_running_loop()
        until = loop.time() + GONE_SECONDS
        while self._memories:
            if all(self._is_left(each) for each in self._memories):
                return True
            if loop.time() > until:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        return False

    async def keep_last(self) -> None:
        """Keep what the gateway that was served has left. Raises CasemateError."""
        for each in list(self._memories):
            if self._is_left(each):
                await self._keep_one(each)

    @staticmethod
    def _is_left(memory: int) -> bool:
        try:
            return outstanding.is_left(memory)
        except OSError as error:
            raise RecorderError(
                f"The memory of a gateway cannot be read: {error.strerror}."
            ) from error

    async def _keep_one(self, memory: int) -> None:
        try:
            journal, takes = outstanding.journal_of(memory), self._takes(memory)
            if journal == self._journal.encode():
                await self._kept(takes)
            elif journal and takes:
                _log.error("what a gateway has left is of another journal, and is not kept")
            outstanding.forget(memory)
        except OSError as error:
            raise RecorderError(
                f"The memory of a gateway cannot be read: {error.strerror}."
            ) from error
        self._memories.remove(memory)
        os.close(memory)

    def _takes(self, memory: int) -> list[Take]:
        """Return what is there as if it had been told: what is kept is known by its number."""
        session = outstanding.session_of(memory)
        if session is None:
            return []
        now = begun.now()
        found = []
        for each in outstanding.read(memory):
            try:
                told = begun.as_ended(each.told, now)
            except DECODING_ERRORS as error:
                _log.error("what a gateway has noted of a call cannot be read: %s", error)
                continue
            if told.kind not in self._not_told:
                found.append(each._replace(told=told))
        found.sort(key=lambda each: each.number)
        # What has no number is known by its slot, should this have to be done again.
        others = hashlib.blake2b(session, digest_size=SESSION_BYTES).digest()
        return [Take(0, others, each.slot, (each.told,)) for each in found if each.number < 0] + [
            Take(0, session, each.number, (each.told,)) for each in found if each.number >= 0
        ]

    async def _kept(self, takes: list[Take]) -> None:
        if not takes:
            return
        try:
            await self._keep(takes)
        except RecorderInputError:
            # One of them is what no gateway of ours tells; the others are kept without it.
            for each in takes:
                try:
                    await self._keep([each])
                except RecorderInputError as error:
                    _log.error("what a gateway had not told cannot be kept: %s", error)

    def close(self) -> None:
        """Close what was passed; what was not kept waits for the next recorder."""
        for each in self._memories:
            os.close(each)
        self._memories.clear()
