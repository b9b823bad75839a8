"""Questions to a process that is kept: bounded, answered once, failed where it ends or is late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import msgspec
import pytest

from casemate.child.calls import Errors, Reply, decode_reply, refusal, reply
from casemate.child.questions import Questions, Respondent
from casemate.model.errors import InvalidInputError, NotFoundError, UnavailableError

ERRORS = Errors(UnavailableError, NotFoundError)
MOST_CHARACTERS = 100


class Question(msgspec.Struct, frozen=True, array_like=True):
    n: int
    text: Annotated[str, msgspec.Meta(max_length=MOST_CHARACTERS)] = ""


RESPONDENT = Respondent(
    name="clerk",
    most=2,
    most_waiting=4,
    errors=ERRORS,
    unavailable=UnavailableError,
    takes=msgspec.msgpack.Decoder(Question).decode,
    if_late="ask for less",
)


def played(scene: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Play a scene in a loop of its own."""

    def play() -> None:
        asyncio.run(scene())

    play.__name__ = scene.__name__
    return play


class Process:
    """One that is there, and keeps what it is sent."""

    def __init__(self) -> None:
        self.connection: object | None = self
        self.sent: list[Question] = []
        self.descriptors: list[tuple[int, ...]] = []

    def send(self, body: bytes, descriptors: tuple[int, ...] = ()) -> None:
        self.sent.append(msgspec.msgpack.decode(body, type=Question))
        self.descriptors.append(tuple(descriptors))


def ask(questions: Questions, process: Any, text: str = "", **rest: Any) -> asyncio.Task[str]:
    asked = questions.ask(process, str, lambda n: Question(n, text), **{"seconds": 5.0, **rest})
    return asyncio.ensure_future(asked)


def answer_to(number: int, text: str) -> Reply:
    return decode_reply(reply(number, text))


@played
async def test_each_gets_its_own_answer() -> None:
    questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()
    one, two = ask(questions, process, "a"), ask(questions, process, "b", descriptors=(7,))
    await asyncio.sleep(0)
    assert [each.text for each in process.sent] == ["a", "b"]
    assert process.descriptors == [(), (7,)]
    first, second = (each.n for each in process.sent)
    assert len({first, second, questions.number()}) == 3
    assert questions.answered(answer_to(second, "B"))
    assert questions.answered(answer_to(first, "A"))
    assert (await one, await two) == ("A", "B")
    assert not questions.answered(answer_to(first, "again"))


@played
async def test_what_the_process_would_end_for_is_not_sent() -> None:
    questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()
    with pytest.raises(
        InvalidInputError, match=r"The clerk takes no such request: .*length <= 100"
    ):
        await ask(questions, process, "x" * (MOST_CHARACTERS + 1))
    assert process.sent == []
    asked = ask(questions, process, "x" * MOST_CHARACTERS)
    await asyncio.sleep(0)
    assert questions.answered(answer_to(process.sent[0].n, "yes"))
    assert await asked == "yes"


@played
async def test_what_it_refuses_is_raised() -> None:
    questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()
    one = ask(questions, process)
    await asyncio.sleep(0)
    failure = ERRORS.failure(NotFoundError("there is none"))
    assert questions.answered(decode_reply(refusal(process.sent[0].n, failure)))
    with pytest.raises(NotFoundError, match="there is none"):
        await one


@played
async def test_more_than_are_answered_at_once_wait_for_their_turn() -> None:
    """Before, the 17th of a list of errors was refused, and the list with it."""
    questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()
    asked = [ask(questions, process, text) for text in "abcd"]
    await asyncio.sleep(0)
    assert [each.text for each in process.sent] == ["a", "b"]
    with pytest.raises(UnavailableError, match="The clerk is not there, or has too many"):
        await ask(questions, process, "e")
    asked[0].cancel()
    assert questions.answered(answer_to(process.sent[1].n, "B"))
    assert await asked[1] == "B"
    while len(process.sent) < 4:
        await asyncio.sleep(0)
    assert [each.text for each in process.sent] == ["a", "b", "c", "d"]
    for each in process.sent[2:]:
        questions.answered(answer_to(each.n, each.text.upper()))
    assert [await each for each in asked[2:]] == ["C", "D"]


@played
async def test_who_waits_for_a_turn_is_told_that_it_has_ended_or_is_late() -> None:
    questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()
    asked = [ask(questions, process) for _ in range(3)]
    late = ask(questions, process, seconds=0.01)
    with pytest.raises(UnavailableError, match="did not answer within"):
        await late
    process.connection = None
    questions.lost()
    for each in asked:
        with pytest.raises(UnavailableError, match=r"is not there|has ended"):
            await each
    assert len(process.sent) == 2
    process.connection = process
    again = ask(questions, process)
    await asyncio.sleep(0)
    questions.answered(answer_to(process.sent[2].n, "A"))
    assert await again == "A"


@played
async def test_what_was_asked_of_one_that_has_ended_fails_and_the_next_is_asked() -> None:
    questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()
    one = ask(questions, process)
    await asyncio.sleep(0)
    questions.lost()
    process.connection = None
    with pytest.raises(UnavailableError, match="The clerk has ended"):
        await one
    with pytest.raises(UnavailableError, match="is not there"):
        await ask(questions, process)
    process.connection = process
    two = ask(questions, process)
    await asyncio.sleep(0)
    assert not questions.answered(answer_to(process.sent[0].n, "late"))
    assert questions.answered(answer_to(process.sent[1].n, "B"))
    assert await two == "B"


@played
async def test_an_answer_that_is_late_is_told_and_taken_by_nobody() -> None:
    questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()
    with pytest.raises(UnavailableError, match=r"did not answer within 0\.01 s") as raised:
        await ask(questions, process, seconds=0.01)
    assert raised.value.next_step == "ask for less"
    assert not questions.answered(answer_to(process.sent[0].n, "late"))


NO_ANSWERS = {
    "another type": b"\x01",
    "nothing": b"\xc0",
    "a list": b"\x91\xa1a",
    "nested deep": b"\x81\xa1x" + b"\x91" * 30_000 + b"\x00",
    "not UTF-8": b"\xa1\xff",
}


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_an_answer_that_is_none_is_told_as_if_nobody_was_there(
    answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()
        one = ask(questions, process)
        await asyncio.sleep(0)
        assert questions.answered(Reply(process.sent[0].n, None, msgspec.Raw(answer)))
        with pytest.raises(UnavailableError, match="has sent something that is not an answer"):
            await one
        assert "the clerk has answered with what is none" in caplog.text
        again = ask(questions, process)
        await asyncio.sleep(0)
        questions.answered(answer_to(process.sent[1].n, "A"))
        assert await again == "A"

    asyncio.run(scene())


@played
async def test_a_question_whose_descriptor_cannot_be_passed_is_not_waited_for() -> None:
    questions, process = Questions(RESPONDENT, asyncio.get_running_loop()), Process()

    def refuse(_body: bytes, _descriptors: tuple[int, ...] = ()) -> None:
        raise OSError(24, "Too many open files")

    process.send = refuse  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        await ask(questions, process, descriptors=(7,))
    assert not questions._waiting
