"""A queue that all nodes send to and take from, and what has to be true of it in the end."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from casemate.data.messages import COLUMNS, message
from casemate.data.terms import terms_of
from casemate.model.errors import CasemateError
from casemate.model.messages import Fate, Message, NewMessage, Settlement
from casemate.operations.leases import KeepMessages, LeaseMessages, SettleMessages
from casemate.sqlite.errors import DatabaseUnsureError
from support.histories import LOST, Attempt, HistoryError, Sent, lost_of, require_leases

PROJECT, KIND, NAME = "data", "queue", "q"
KEYS = 4
LEASE_SECONDS = 5.0
AT_ONCE = 4
SEND_PAUSE, TAKE_PAUSE, HOLD = 1.0, 0.02, 0.02
_LEFT = f"SELECT {COLUMNS} FROM message WHERE queue = ? ORDER BY id"


class Messages:
    """What one node has sent and taken, and what it was told of it."""

    def __init__(self, node: int) -> None:
        """Nothing yet."""
        self.node = node
        self.sent: dict[str, list[Sent]] = {}
        self.attempts: dict[str, list[Attempt]] = {}

    async def send(self, data: Any, key: str, number: int) -> None:
        """Send one; raises what the data says."""
        value = f"{self.node}/{number}"
        new = NewMessage(body=json.dumps([key, value]).encode(), key=key)
        began = time.monotonic()
        try:
            await data.change(KeepMessages(project=PROJECT, kind=KIND, name=NAME, messages=(new,)))
        except DatabaseUnsureError:
            self.sent.setdefault(key, []).append(Sent(began, LOST, value))
            raise
        self.sent.setdefault(key, []).append(Sent(began, time.monotonic(), value))

    async def take(self, data: Any, hold: float = 0.0) -> int:
        """Take some, hold them for so many seconds, and settle them; return how many."""
        lease = LeaseMessages(
            project=PROJECT, kind=KIND, name=NAME, limit=AT_ONCE, lease=LEASE_SECONDS
        )
        found = await data.change(lease)
        leased = time.monotonic()
        await asyncio.sleep(hold)
        settled = [self._settle(data, one, leased) for one in found]
        for failed in await asyncio.gather(*settled, return_exceptions=True):
            if failed is not None:
                raise failed
        return len(found)

    async def _settle(self, data: Any, one: Message, leased: float) -> None:
        key, value = json.loads(one.body)
        end = Settlement(id=one.id, fence=one.fence, attempt=one.attempts, fate=Fate.DONE)
        attempts = self.attempts.setdefault(key, [])
        began = time.monotonic()
        try:
            done = await data.change(
                SettleMessages(project=PROJECT, kind=KIND, name=NAME, settlements=(end,))
            )
        except DatabaseUnsureError:
            attempts.append(Attempt(value, leased, began, LOST, None))
            raise
        attempts.append(Attempt(value, leased, began, time.monotonic(), done == 1))


async def left_in(data: Any) -> dict[str, set[object]]:
    """Return what is in the queue, for each key; it is not leased, which takes long for many."""

    def read(connection: Any) -> list[Message]:
        (queue,) = (one for one in opened.registry.values() if (one.kind, one.name) == (KIND, NAME))
        rows = connection.execute(_LEFT, (queue.id,)).fetchall()
        return [message(terms_of(connection), queue, row) for row in rows]

    async with data._projects.use(PROJECT) as opened:
        found: dict[str, set[object]] = {}
        for one in await opened.read(read):
            key, value = json.loads(one.body)
            found.setdefault(key, set()).add(value)
        return found


def judge(
    all_messages: list[Messages], left: dict[str, set[object]]
) -> tuple[Counter[int], list[str]]:
    """Return how many messages each node has lost, and what else is not as it has to be."""
    lost: Counter[int] = Counter()
    wrong = []
    for key in {key for each in all_messages for key in each.sent} | left.keys():
        sent = [one for each in all_messages for one in each.sent.get(key, ())]
        attempts = [one for each in all_messages for one in each.attempts.get(key, ())]
        there = left.get(key, set())
        if missing := set(lost_of(sent, attempts, there)):
            for each in all_messages:
                own = (one.value for one in each.sent.get(key, ()))
                lost[each.node] += len(missing.intersection(own))
            continue
        try:
            require_leases(sent, attempts, there)
        except HistoryError as error:
            wrong.append(f"messages of key {key}: {error}")
    return lost, wrong


async def run(
    messages: Messages,
    data: Any,
    stop: asyncio.Event,
    told: Callable[[CasemateError | None], Awaitable[None]],
) -> None:
    """Send and take until told to stop; `told` hears of what is kept, and of each failure."""
    numbers = itertools.count()

    async def send(key: str) -> None:
        await messages.send(data, key, next(numbers))
        await told(None)
        await asyncio.sleep(SEND_PAUSE)

    async def take() -> None:
        await messages.take(data, HOLD)
        await asyncio.sleep(TAKE_PAUSE)

    async def each(call: Callable[[], Awaitable[None]]) -> None:
        while not stop.is_set():
            try:
                await call()
            except CasemateError as error:
                await told(error)

    await asyncio.gather(
        *(each(partial(send, f"k{key}")) for key in range(KEYS)), *(each(take) for _ in range(2))
    )
