"""A rotation: on record first, set outside, in use once, and taken back; whoever else is at it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from casemate.facts import FactStream
from casemate.model.errors import CasemateError, ConflictError, InvalidInputError, NotFoundError
from casemate.model.facts import Actor, SecretRotated
from casemate.model.rotation import Rotation
from casemate.model.vault import LEAST_LENGTH, MAX_OVERLAP_SECONDS, NewValue, ValueForm
from casemate.rotations import Asked, Rotations, keeping
from support.core import MemoryStore
from support.memory_secrets import MemorySecrets

ADA, BOB = Actor("user:ada", "192.0.2.1"), Actor("user:bob", "")


def how(name: str = "key", **more: Any) -> Rotation:
    given: dict[str, Any] = {
        "project": "shop",
        "name": name,
        "value": NewValue(form=ValueForm.HEX, length=64),
        "overlap": 60,
        "by": "user:ada",
        "since": 1.0,
        **more,
    }
    return Rotation(**given)


class Node:
    def __init__(
        self,
        store: MemoryStore | None = None,
        vault: MemorySecrets | None = None,
        name: str = "",
    ) -> None:
        self.store = store or MemoryStore()
        self.vault = vault or MemorySecrets()
        self.told: list[SecretRotated] = []
        self.asked: list[tuple[str, Asked]] = []
        self.ended: list[tuple[str, bool]] = []
        self.answers: Callable[[], Awaitable[None]] | None = None
        self.trouble: Exception | None = None
        facts = FactStream()
        facts.listen(SecretRotated, self.told.append)
        self.rotations = Rotations(
            self.store,  # type: ignore[arg-type]
            self.vault,  # type: ignore[arg-type]
            facts,
            self.durable,
            self.ask,
            node=name,
        )
        self.rotations.changed = lambda _project, name, at_once: self.ended.append((name, at_once))

    async def durable(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    async def ask(self, _project: str, function: str, asked: Asked) -> None:
        self.asked.append((function, asked))
        if self.answers is not None:
            await self.answers()

    async def rotate(self, by: Actor = ADA, **more: Any) -> Any:
        return await self.rotations.rotate("shop", "key", reason="r", by=by, **more)

    async def back(self, by: Actor = ADA, **more: Any) -> Any:
        return await self.rotations.back("shop", "key", reason="r", by=by, **more)

    @property
    def steps(self) -> list[tuple[str, str, int]]:
        return [(one.change, one.step, one.version) for one in self.told]


def play(scene: Callable[[Node], Awaitable[None]], **declared: Any) -> None:
    async def whole() -> None:
        node = Node()
        await node.rotations.load()
        node.vault.put("shop", "key")
        await node.rotations.declare(how(**declared), ADA)
        node.told.clear()
        await scene(node)

    asyncio.run(asyncio.wait_for(whole(), 20))


def test_a_new_value_is_in_use_and_the_one_before_is_good_for_the_overlap() -> None:
    async def scene(node: Node) -> None:
        done = await node.rotate()
        assert (done.version, done.former) == (2, 1)
        assert done.until == pytest.approx(time.time() + 60, abs=5)
        assert node.steps == [("rotate", "begins", 1), ("rotate", "done", 2)]
        assert node.ended == [("key", False)] and not node.asked
        assert await node.rotations.versions("shop", "key") == (2, 1)
        back = await node.back()
        assert (back.version, back.former, back.until) == (3, 2, None)
        assert node.ended[1:] == [("key", True)]
        with pytest.raises(ConflictError, match="gone back to the value of version 1 already"):
            await node.back()

    play(scene)


def test_without_an_overlap_it_ends_at_once_and_for_good() -> None:
    async def scene(node: Node) -> None:
        done = await node.rotate(overlap=0)
        assert done.until is None and node.ended == [("key", True)]
        with pytest.raises(ConflictError):
            await node.back()

    play(scene)


def test_who_sets_it_outside_is_told_of_the_version_alone() -> None:
    async def scene(node: Node) -> None:
        await node.rotate()
        await node.back()
        assert node.asked == [
            ("setter", Asked(secret="key", version=2, former=1)),
            ("setter", Asked(secret="key", version=3, former=2)),
        ]

    play(scene, function="setter")


def test_one_that_was_not_set_outside_is_not_in_use_and_tried_again() -> None:
    async def scene(node: Node) -> None:
        async def refuses() -> None:
            raise ConflictError("it says no")

        node.answers = refuses
        with pytest.raises(ConflictError, match="it says no"):
            await node.rotate()
        assert node.vault.in_use("shop", "key") == 1 and not node.ended
        assert node.steps[-1] == ("rotate", "failed", 1) and node.told[-1].reason == "it says no"
        node.answers = None
        assert (await node.rotate(BOB)).version == 2
        assert [asked.version for _, asked in node.asked] == [2, 2]

    play(scene, function="setter")


def test_of_two_at_once_one_is_refused() -> None:
    async def scene(node: Node) -> None:
        gate = asyncio.Event()

        async def waits() -> None:
            await gate.wait()

        node.answers = waits
        first = asyncio.ensure_future(node.rotate())
        await asyncio.sleep(0.01)
        for other in (node.rotate(BOB), node.back(BOB)):
            with pytest.raises(ConflictError, match="is being rotated"):
                await other
        gate.set()
        assert (await first).version == 2
        assert (await node.rotate(BOB)).version == 3

    play(scene, function="setter")


def test_a_person_who_sets_it_meanwhile_wins() -> None:
    async def scene(node: Node) -> None:
        async def beside() -> None:
            node.vault.put("shop", "key", "user:eve")

        node.answers = beside
        with pytest.raises(CasemateError):
            await node.rotate()
        assert node.steps[-1][1] == "failed"
        assert await node.rotations.author("shop", "key") == "user:eve"

    play(scene, function="setter")


@pytest.mark.parametrize("expected", [0, 2, 7])
def test_another_version_than_expected_is_left_alone(expected: int) -> None:
    async def scene(node: Node) -> None:
        with pytest.raises(ConflictError):
            await node.rotate(expected=expected)
        with pytest.raises(ConflictError):
            await node.back(expected=expected)
        assert node.steps == []

    play(scene)


def test_nothing_is_done_that_is_not_on_record() -> None:
    async def scene(node: Node) -> None:
        node.trouble = ConflictError("the journal is full")
        for work in (node.rotate(), node.rotations.forget("shop", "key", ADA)):
            with pytest.raises(ConflictError):
                await work
        assert node.vault.in_use("shop", "key") == 1 and not node.asked
        assert node.rotations.find("shop", "key") is not None
        node.trouble = None
        assert (await node.rotate()).version == 2  # and nobody is kept out

    play(scene, function="setter")


def test_cancelled_while_a_function_hangs_it_can_be_rotated_again() -> None:
    async def scene(node: Node) -> None:
        node.answers = asyncio.Event().wait  # type: ignore[assignment]
        first = asyncio.ensure_future(node.rotate())
        await asyncio.sleep(0.01)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        node.answers = None
        assert (await node.rotate()).version == 2

    play(scene, function="setter")


async def cut_short(node: Node, work: Awaitable[Any]) -> None:
    """Begin something that asks a function, and end it as a kill does."""
    before = len(node.asked)
    node.answers = asyncio.Event().wait  # type: ignore[assignment]
    task = asyncio.ensure_future(work)
    while len(node.asked) == before:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    node.answers = None


async def started_again(node: Node, name: str = "") -> Node:
    again = Node(node.store, node.vault, name)
    await again.rotations.load()
    await again.rotations.finish_begun()
    return again


def test_what_a_kill_cut_short_is_finished_at_the_next_start() -> None:
    """What the function has set outside was not in use until somebody rotated again."""

    async def scene(node: Node) -> None:
        await cut_short(node, node.rotate(overlap=30))
        assert node.vault.in_use("shop", "key") == 1
        again = await started_again(node)
        assert again.asked == node.asked  # the same value
        assert again.vault.in_use("shop", "key") == 2
        assert again.steps == [("rotate", "begins", 1), ("rotate", "done", 2)]
        assert {(one.by, one.reason) for one in again.told} == {("user:ada", "r")}
        assert await again.rotations.versions("shop", "key") == (2, 1)
        await cut_short(again, again.back())
        once_more = await started_again(again)
        assert once_more.steps[-1] == ("back", "done", 3)
        assert await once_more.rotations.uses_value_of("shop", "key", 1)
        assert (await started_again(once_more)).asked == []

    play(scene, function="setter")


def test_what_was_in_use_and_not_told_is_told_at_the_next_start() -> None:
    async def scene(node: Node) -> None:
        durable = node.durable

        async def killed() -> None:
            if node.vault.in_use("shop", "key") == 2:
                raise asyncio.CancelledError
            await durable()

        node.rotations._durable = killed
        with pytest.raises(asyncio.CancelledError):
            await node.rotate()
        again = await started_again(node)
        assert again.asked == [] and again.steps == [("rotate", "done", 2)]

    play(scene, function="setter")


def test_what_somebody_has_set_since_stays() -> None:
    async def scene(node: Node) -> None:
        await cut_short(node, node.rotate())
        node.vault.put("shop", "key", "user:eve")
        again = await started_again(node)
        assert again.asked == [] and again.told == []
        assert await again.rotations.author("shop", "key") == "user:eve"

    play(scene, function="setter")


def test_what_another_node_has_begun_or_a_playbook_is_left_to_them() -> None:
    async def scene(node: Node) -> None:
        await cut_short(node, node.rotate(Actor("playbook:leaked-secret", "")))
        assert (await started_again(node)).asked == []
        await cut_short(node, node.rotate())
        assert (await started_again(node, "other")).asked == []
        assert len((await started_again(node)).asked) == 1

    play(scene, function="setter")


def test_what_cannot_be_finished_is_told_and_tried_no_more(monkeypatch: Any) -> None:
    monkeypatch.setattr(keeping, "AGAIN_SECONDS", (0.0, 0.001))

    async def scene(node: Node) -> None:
        await cut_short(node, node.rotate())

        async def refuses() -> None:
            raise ConflictError("it says no")

        again = Node(node.store, node.vault)
        await again.rotations.load()
        again.answers = refuses
        await again.rotations.finish_begun()
        assert [step for _, step, _ in again.steps] == ["begins", "failed"] * 2
        assert again.vault.in_use("shop", "key") == 1
        assert (await started_again(again)).asked == []

    play(scene, function="setter")


def test_only_so_many_hang_at_once() -> None:
    async def scene(node: Node) -> None:
        node.answers = asyncio.Event().wait  # type: ignore[assignment]
        tasks = []
        for number in range(keeping.MAX_UNDER_WAY):
            project = f"p{number // keeping.MAX_UNDER_WAY_OF_PROJECT}"
            one = how(f"k{number}", project=project, function="setter")
            await node.rotations.declare(one, ADA)
            wanted = node.rotations.rotate(project, one.name, reason="r", by=ADA)
            tasks.append(asyncio.ensure_future(wanted))
        await asyncio.sleep(0.01)
        with pytest.raises(ConflictError, match="too many"):
            await node.rotate()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        node.answers = None
        await node.rotate()

    play(scene)


def test_one_that_fails_to_be_in_use_is_told() -> None:
    async def scene(node: Node) -> None:
        node.vault.fails = ConflictError("the disk is full")
        with pytest.raises(ConflictError):
            await node.rotate()
        assert node.steps[-1] == ("rotate", "failed", 1)
        node.vault.fails = None
        assert (await node.rotate()).version == 2

    play(scene)


def test_what_was_said_is_kept_over_a_start_and_taken_back() -> None:
    async def scene(node: Node) -> None:
        again = Node(node.store, node.vault)
        await again.rotations.load()
        assert again.rotations.all("shop") == (how(),) == again.rotations.all(None)
        assert again.rotations.all("other") == ()
        await again.rotations.forget("shop", "key", ADA)
        with pytest.raises(NotFoundError, match="casemate secrets rotation shop/key"):
            await again.rotate()
        with pytest.raises(NotFoundError):
            await again.rotations.forget("shop", "key", ADA)

    play(scene)


def test_one_goes_back_also_after_that_was_taken_back() -> None:
    async def scene(node: Node) -> None:
        await node.rotate()
        await node.rotations.forget("shop", "key", ADA)
        assert (await node.back()).version == 3

    play(scene)


def test_whose_value_is_in_use_is_known_over_changes() -> None:
    async def scene(node: Node) -> None:
        async def uses(version: int) -> bool:
            return await node.rotations.uses_value_of("shop", "key", version)

        assert await uses(1)
        await node.rotate()
        assert await uses(2) and not await uses(1)
        await node.back()
        assert [await uses(n) for n in (1, 2, 3)] == [True, False, True]
        await node.rotate()
        assert [await uses(n) for n in (1, 2, 3, 4)] == [False, False, False, True]
        await node.back()
        assert [await uses(n) for n in (1, 2, 3, 4, 5)] == [True, False, True, False, True]
        node.vault.put("shop", "key")
        assert [await uses(n) for n in (1, 3, 5, 6)] == [False, False, False, True]

    play(scene)


def test_back_a_second_time_is_told_that_it_was() -> None:
    """As somebody asks whose first answer was lost with the node."""

    async def scene(node: Node) -> None:
        await node.rotate()
        await node.back()
        with pytest.raises(ConflictError, match="gone back to the value of version 1 already"):
            await node.back()
        assert node.vault.in_use("shop", "key") == 3

    play(scene)


@pytest.mark.parametrize("form", ValueForm)
def test_values_that_could_be_guessed_are_not_declared(form: ValueForm) -> None:
    async def scene(node: Node) -> None:
        short = NewValue(form=form, length=LEAST_LENGTH[form] - 1)
        with pytest.raises(InvalidInputError, match="could be guessed"):
            await node.rotations.declare(how(value=short), ADA)
        for overlap in (-1, MAX_OVERLAP_SECONDS + 1):
            with pytest.raises(InvalidInputError):
                await node.rotations.declare(how(overlap=overlap), ADA)

    play(scene)


def test_there_are_only_so_many(monkeypatch: Any) -> None:
    monkeypatch.setattr(keeping, "MAX_OF_PROJECT", 2)

    async def scene(node: Node) -> None:
        await node.rotations.declare(how("second"), ADA)
        with pytest.raises(ConflictError, match="which is the most"):
            await node.rotations.declare(how("third"), ADA)
        await node.rotations.declare(how("second", overlap=5), ADA)
        await node.rotations.declare(how("third", project="other"), ADA)

    play(scene)


def test_functions_that_hang_keep_nobody_elses_secrets_from_being_rotated() -> None:
    async def scene(node: Node) -> None:
        node.answers = asyncio.Event().wait  # type: ignore[assignment]
        tasks = []
        for number in range(keeping.MAX_UNDER_WAY_OF_PROJECT + 1):
            one = how(f"k{number}", project="theirs", function="setter")
            await node.rotations.declare(one, ADA)
            wanted = node.rotations.rotate("theirs", one.name, reason="r", by=ADA)
            tasks.append(asyncio.ensure_future(wanted))
        await asyncio.sleep(0.01)
        [refused] = [each.exception() for each in tasks if each.done()]
        assert isinstance(refused, ConflictError)
        assert (await node.rotate()).version == 2
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    play(scene)


def test_what_has_the_former_value_ends_although_nobody_waits_any_more() -> None:
    async def scene(node: Node) -> None:
        genuine = node.vault.finish_secret

        async def slow(*given: Any) -> Any:
            await genuine(*given)
            await asyncio.Event().wait()

        node.vault.finish_secret = slow  # type: ignore[method-assign]
        task = asyncio.ensure_future(node.rotate())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert node.vault.in_use("shop", "key") == 2 and node.ended == [("key", False)]

    play(scene)
