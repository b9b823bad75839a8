"""Events that come at the same moment are kept in one change, and none pays for another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from casemate.data.errors import DataFullError, LimitError
from casemate.data.interface import NewMessage
from casemate.delivery import incoming as module
from casemate.delivery.incoming import Incoming
from casemate.model.errors import InvalidInputError, NotFoundError
from casemate.operations.leases import KeepMessages


def message(body: bytes = b"1", **changes: Any) -> NewMessage:
    return NewMessage(**{"body": body, "caller": "token:a", **changes})


class Data:
    """Notes what is kept; a body in `faults` fails the change that it is in."""

    def __init__(self) -> None:
        self.changes: list[KeepMessages] = []
        self.faults: dict[bytes, Exception] = {}
        self.has_inbox = True

    async def change(self, operation: KeepMessages) -> tuple[str, ...]:
        await asyncio.sleep(0)
        self.changes.append(operation)
        if not self.has_inbox:
            raise NotFoundError("no inbox")
        for one in operation.messages:
            if one.body in self.faults:
                raise self.faults[one.body]
        return ()

    async def ensure(self, project: str) -> None:
        self.has_inbox = True


Scene = Callable[[Data, Incoming], Awaitable[None]]


def play(scene: Scene) -> None:
    async def run() -> None:
        data = Data()
        await asyncio.wait_for(scene(data, Incoming(data, data.ensure)), 10)  # type: ignore[arg-type]

    asyncio.run(run())


def sizes(data: Data) -> list[int]:
    return [len(change.messages) for change in data.changes]


def test_what_comes_at_once_is_one_change() -> None:
    async def scene(data: Data, incoming: Incoming) -> None:
        await asyncio.gather(*(incoming.keep("t", "f", (message(b"%d" % n),)) for n in range(20)))
        assert sizes(data) == [20]
        assert [one.body for one in data.changes[0].messages] == [b"%d" % n for n in range(20)]

    play(scene)


def test_what_comes_later_does_not_wait_for_it() -> None:
    async def scene(data: Data, incoming: Incoming) -> None:
        await incoming.keep("t", "f", (message(),))
        await incoming.keep("t", "f", (message(),))
        assert sizes(data) == [1, 1]

    play(scene)


@pytest.mark.parametrize(
    "other",
    [
        ("u", "f", message()),
        ("t", "g", message()),
        ("t", "f", message(caller="token:b")),
        ("t", "f", message(anonymous=True)),
    ],
)
def test_callers_and_places_are_kept_apart(other: tuple[str, str, NewMessage]) -> None:
    """What a caller may have waiting is asked once for each change."""

    async def scene(data: Data, incoming: Incoming) -> None:
        project, function, new = other
        await asyncio.gather(
            incoming.keep("t", "f", (message(),)), incoming.keep(project, function, (new,))
        )
        assert sizes(data) == [1, 1]

    play(scene)


@pytest.mark.parametrize("fault", [LimitError("too large"), InvalidInputError("no JSON")])
def test_what_one_asks_too_much_of_fails_nobody_else(fault: Exception) -> None:
    async def scene(data: Data, incoming: Incoming) -> None:
        data.faults[b"bad"] = fault
        bodies = [b"1", b"bad", b"2"]
        found = await asyncio.gather(
            *(incoming.keep("t", "f", (message(body),)) for body in bodies),
            return_exceptions=True,
        )
        assert found == [None, fault, None]
        kept = [c for c in data.changes if all(m.body != b"bad" for m in c.messages)]
        assert sum(len(change.messages) for change in kept) == 2, "each once"

    play(scene)


def test_what_one_caller_sends_together_is_kept_together() -> None:
    async def scene(data: Data, incoming: Incoming) -> None:
        data.faults[b"bad"] = LimitError()
        found = await asyncio.gather(
            incoming.keep("t", "f", (message(b"1"), message(b"bad"))),
            incoming.keep("t", "f", (message(b"2"),)),
            return_exceptions=True,
        )
        assert isinstance(found[0], LimitError) and found[1] is None

    play(scene)


@pytest.mark.parametrize("fault", [DataFullError("full"), RuntimeError("planted")])
def test_a_failing_disk_is_not_asked_again_for_each(fault: Exception) -> None:
    """What was refused may be in the log all the same: made again it would be there twice."""

    async def scene(data: Data, incoming: Incoming) -> None:
        data.faults[b"1"] = fault
        found = await asyncio.gather(
            *(incoming.keep("t", "f", (message(body),)) for body in (b"1", b"2")),
            return_exceptions=True,
        )
        assert found == [fault, fault] and sizes(data) == [2]

    play(scene)


def test_an_inbox_that_is_missing_is_made_once() -> None:
    async def scene(data: Data, incoming: Incoming) -> None:
        data.has_inbox = False
        await asyncio.gather(*(incoming.keep("t", "f", (message(),)) for _ in range(3)))
        assert sizes(data) == [3, 3]

    play(scene)


def test_who_goes_away_takes_nobody_along() -> None:
    async def scene(data: Data, incoming: Incoming) -> None:
        gone, stays = (incoming.keep("t", "f", (message(),)) for _ in range(2))
        gone.cancel()
        await stays
        assert sizes(data) == [2], "a change whose awaiter is cancelled is made all the same"

    play(scene)


def test_a_change_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(module, "MOST_BYTES", 100)

    async def scene(data: Data, incoming: Incoming) -> None:
        small = (incoming.keep("t", "f", (message(),)) for _ in range(10))
        large = (incoming.keep("u", "f", (message(b"1" * 90),)) for _ in range(5))
        await asyncio.gather(*small, *large)
        by_project = {
            name: [len(c.messages) for c in data.changes if c.project == name] for name in "tu"
        }
        assert by_project == {"t": [4, 4, 2], "u": [2, 2, 1]}

    play(scene)
