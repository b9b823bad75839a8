"""Exceptions that code gets as values are noted before it has them, and nothing else changes."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from casemate.guard.core import Guard
from casemate.guard.handed_over import HANDED_OVER

PATCHED = (
    (asyncio.BaseEventLoop, "create_task"),
    (concurrent.futures.Future, "set_exception"),
    (contextlib.ExitStack, "__exit__"),
    (contextlib.AsyncExitStack, "__aexit__"),
    (threading, "_make_invoke_excepthook"),
)


@pytest.fixture
def guard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Guard]:
    made = Guard()
    for owner, name in PATCHED:
        monkeypatch.setattr(owner, name, vars(owner)[name])  # put back at the end
    for _ in range(2):  # the second time changes nothing
        for module, patch in HANDED_OVER.patches.items():
            if module in sys.modules and module != "uvloop":
                patch(made, sys.modules[module])
    yield made


def noted(guard: Guard) -> list[str]:
    return [text.shown for source in guard.raised.sources() for text in source.texts]


async def failing() -> None:
    raise KeyError("x")


def test_what_ends_a_task_is_noted_before_who_waits_goes_on(guard: Guard) -> None:
    async def main() -> None:
        [found] = await asyncio.gather(failing(), return_exceptions=True)
        assert noted(guard) == [repr(found)]

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are as of Python 3.12")
def test_a_task_that_ended_at_once_is_noted_as_well(guard: Guard) -> None:
    async def main() -> None:
        eager = asyncio.eager_task_factory  # type: ignore[attr-defined]
        asyncio.get_running_loop().set_task_factory(eager)
        task = asyncio.create_task(failing())
        assert task.done() and noted(guard) == ["KeyError('x')"]
        task.exception()

    asyncio.run(main())


def test_nobody_has_asked_for_an_exception_that_is_noted(guard: Guard) -> None:
    told: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, about: told.append(about))
        asyncio.create_task(failing())  # noqa: RUF006
        cancelled = asyncio.create_task(asyncio.sleep(10))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert [about["message"] for about in told] == ["Task exception was never retrieved"]
    assert noted(guard) == ["KeyError('x')"]


def test_pools_threads_and_exit_stacks(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int, "one").exception()
    kept: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", kept.append)
    thread = threading.Thread(target=int, args=("two",))
    thread.start()
    thread.join()
    assert len(kept) == 1
    with contextlib.ExitStack() as stack:
        stack.push(lambda _kind, _error, _trace: bool(noted(guard)))
        int("three")
    with contextlib.ExitStack():
        pass

    async def main() -> None:
        async with contextlib.AsyncExitStack() as several:
            several.push(lambda _kind, _error, _trace: True)
            int("four")

    asyncio.run(main())
    said = " ".join(noted(guard))
    assert all(word in said for word in ("'one'", "'two'", "'three'", "'four'"))


@pytest.mark.parametrize("pool", [False, True])
def test_what_a_loop_ends_with_costs_it_no_turn(
    guard: Guard, monkeypatch: pytest.MonkeyPatch, pool: bool
) -> None:
    create: Any = asyncio.BaseEventLoop.create_task
    called: dict[str, int] = {}

    def create_task(loop: Any, coro: Any, **named: Any) -> Any:
        task = create(loop, coro, **named)
        called[coro.__name__] = len(task._callbacks or ())
        return task

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_task", create_task)

    async def main() -> None:
        if pool:
            await asyncio.to_thread(int)

    asyncio.run(main())
    # Threads that were begun have to be ended, which may raise.
    assert called == {"main": 1, "shutdown_asyncgens": 0, "shutdown_default_executor": int(pool)}


def test_what_ends_a_generator_is_noted_though_its_loop_ends_it(guard: Guard) -> None:
    async def numbers() -> Any:
        try:
            yield 1
        finally:
            int("five")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        await anext(kept)

    kept = numbers()
    asyncio.run(main())
    assert "'five'" in " ".join(noted(guard))


def test_stacks_stay_what_they_are(guard: Guard) -> None:
    leave = contextlib.AsyncExitStack.__aexit__
    assert leave.__name__ == "__aexit__"
    if sys.version_info >= (3, 12):
        assert inspect.iscoroutinefunction(leave)

    async def main() -> None:
        error = KeyError("given by hand")
        contextlib.ExitStack().__exit__(KeyError, error, None)
        await contextlib.AsyncExitStack().__aexit__(None, None, None)
        assert noted(guard) == ["KeyError('given by hand')"]
        with pytest.raises(IndexError):
            contextlib.ExitStack().__exit__()
        stack = contextlib.AsyncExitStack()
        stack.push_async_callback(failing)
        with pytest.raises(KeyError):
            await stack.aclose()

    asyncio.run(main())
