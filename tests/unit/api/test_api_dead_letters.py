"""What dead letters are about is listed for who may see what is in them, without secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from casemate.api import delivery
from casemate.data.errors import DataCorruptError
from casemate.model.errors import UnavailableError
from casemate.model.messages import DeadLetter
from casemate.model.principal import Action
from casemate.operations.delivery import (
    Letters,
    ListFunctionDeadLetters,
    ListQueueDeadLetters,
    ReadLetterSubjects,
)

SECRET = "sk_live_0123456789"
ABOUT = {"0a": f"in/{SECRET}.jpg", "0b": "x" * 90 + SECRET + "y" * 90 + SECRET}


class Data:
    def __init__(self, kind: str) -> None:
        self.asked: list[Any] = []
        self.letters = tuple(
            DeadLetter(
                id=id, kind=kind, name="f", trigger="t", event_type="e", reason="r",
                error_id="err_1", attempts=1, sent_at=1.0, died_at=2.0, size=9,
            )
            for id in ("0a", "0b", "0c")
        )  # fmt: skip

    async def read(self, operation: Any) -> Any:
        self.asked.append(operation)
        if isinstance(operation, ReadLetterSubjects):
            return ABOUT
        return Letters(letters=self.letters, after="0c")


async def redact(_project: str, texts: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(text.replace(SECRET.encode(), b"[redacted:k]") for text in texts)


def listed(
    data: Data, operation: Any, *, sees: bool = True, redact: Any = redact
) -> tuple[str, ...]:
    call = SimpleNamespace(
        service=SimpleNamespace(data=data, vault=SimpleNamespace(redact=redact)),
        may=lambda action, _resource: sees and action is Action.DEAD_LETTER_CONTENT,
    )
    found = asyncio.run(delivery.performs.by_type[type(operation)](operation, call))
    assert found.after == "0c"
    return tuple(letter.subject for letter in found.letters)


def test_they_are_told_cut_and_without_secrets() -> None:
    data = Data("inbox")
    first, second, third = listed(data, ListFunctionDeadLetters(project="p", function="f"))
    assert (first, third) == ("in/[redacted:k].jpg", "")
    assert second == "x" * 90 + "[redacted:" + "…" + "y" * 88 + "[redacted:k]"
    assert data.asked[-1] == ReadLetterSubjects(project="p", ids=("0a", "0b", "0c"))


def test_they_are_not_even_read_for_who_may_not_see_them_nor_for_queues() -> None:
    for kind, operation, sees in (
        ("inbox", ListFunctionDeadLetters(project="p", function="f"), False),
        ("queue", ListQueueDeadLetters(project="p", queue="f"), True),
    ):
        data = Data(kind)
        assert listed(data, operation, sees=sees) == ("", "", "")
        assert data.asked == [operation]


def test_letters_are_listed_also_where_what_they_are_about_cannot_be_read() -> None:
    async def busy(_project: str, _texts: Sequence[bytes]) -> tuple[bytes, ...]:
        raise UnavailableError("The vault is busy.")

    class Damaged(Data):
        async def read(self, operation: Any) -> Any:
            if isinstance(operation, ReadLetterSubjects):
                raise DataCorruptError("A letter is damaged.")
            return await super().read(operation)

    wanted = ListFunctionDeadLetters(project="p", function="f")
    assert listed(Data("inbox"), wanted, redact=busy) == ("", "", "")
    assert listed(Damaged("inbox"), wanted) == ("", "", "")
