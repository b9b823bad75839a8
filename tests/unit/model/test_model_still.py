"""A change that waited for others is decided once more, for the request that it is done for."""

from __future__ import annotations

import asyncio

import pytest

from casemate.model.errors import ConflictError
from casemate.model.still import asked_again, asked_besides, require_still


class GoneError(ConflictError):
    """The token was revoked."""


def gone() -> None:
    raise GoneError("The token was revoked.")


def test_what_the_node_does_itself_is_not_asked_for() -> None:
    require_still()


def test_within_a_request_its_rights_are_asked_for_and_no_others() -> None:
    with asked_again(gone):
        with pytest.raises(GoneError):
            require_still()
        with asked_again(lambda: None):
            require_still()
        with pytest.raises(GoneError):
            require_still()
    require_still()


def test_what_is_asked_besides_is_asked_after_what_the_request_is() -> None:
    asked = list[str]()
    with asked_besides(lambda: asked.append("alone")):
        require_still()
    with asked_again(lambda: asked.append("request")), asked_besides(lambda: asked.append("run")):
        with asked_besides(lambda: asked.append("action")):
            require_still()
        asked.append("then")
        require_still()
    require_still()
    assert asked == ["alone", "request", "run", "action", "then", "request", "run"]
    with (
        asked_again(gone),
        asked_besides(lambda: asked.append("never")),
        pytest.raises(GoneError),
    ):
        require_still()
    assert "never" not in asked


def test_what_goes_on_after_a_part_is_asked_for_as_long_as_the_request_lasts() -> None:
    async def play() -> None:
        asked, ended, answered = list[str](), asyncio.Event(), asyncio.Event()

        async def goes_on() -> None:
            for each in (ended, answered):
                require_still()
                asked.append("then")
                await each.wait()
            require_still()

        with asked_again(lambda: asked.append("request")):
            with asked_besides(lambda: asked.append("run")):
                task = asyncio.ensure_future(goes_on())
                await asyncio.sleep(0)
            ended.set()
            await asyncio.sleep(0.01)
        answered.set()
        await task
        assert asked == ["request", "run", "then", "request", "then"]

    asyncio.run(play())


def test_each_of_several_requests_has_its_own() -> None:
    async def play() -> None:
        turn, done = asyncio.Lock(), list[str]()
        revoked = False

        def still() -> None:
            if revoked:
                gone()

        async def change(name: str, *, asked: bool) -> None:
            async with turn:
                require_still()
                await asyncio.sleep(0)
                done.append(f"{name} {asked}")

        async def request(name: str) -> None:
            with asked_again(still):
                await change(name, asked=True)

        async with turn:
            queued = [asyncio.ensure_future(request(str(n))) for n in range(3)]
            own = asyncio.ensure_future(change("own", asked=False))
            await asyncio.sleep(0.01)
            revoked = True
        found = await asyncio.gather(*queued, own, return_exceptions=True)
        assert [type(each) for each in found] == [GoneError] * 3 + [type(None)]
        assert done == ["own False"]

    asyncio.run(play())


def test_what_goes_on_after_a_request_is_the_nodes_own() -> None:
    async def play() -> None:
        answered = asyncio.Event()

        async def goes_on() -> None:
            with pytest.raises(GoneError):
                require_still()
            await answered.wait()
            require_still()

        with asked_again(gone):
            task = asyncio.ensure_future(goes_on())
            await asyncio.sleep(0)
        answered.set()
        await task

    asyncio.run(play())
