"""What performs an operation is found by its type, and never the wrong way."""

from __future__ import annotations

import asyncio

import pytest

from casemate.operations.errors import DeclarationError
from casemate.operations.items import GetItem, PutItem
from casemate.operations.performing import DirectPerformers, Performed, Performers, asked

ONE, ANOTHER = Performers(), Performers()


class Adapter:
    @ONE(GetItem)
    async def _get(self, operation: GetItem) -> str:  # type: ignore[misc]
        return f"got {operation.key}"

    @ANOTHER(PutItem)
    async def _put(self, operation: PutItem) -> str:  # type: ignore[misc]
        return f"put {operation.content!r}"


PERFORMED = Performed(ONE, ANOTHER)
GET = GetItem(project="p", table="t", key="a")
PUT = PutItem(project="p", table="t", content=b'{"id": 1}')


def test_each_is_found_by_its_type() -> None:
    assert asyncio.run(PERFORMED.reading(GET)(Adapter(), GET)) == "got a"
    assert asyncio.run(PERFORMED.changing(PUT)(Adapter(), PUT)) == "put b'{\"id\": 1}'"
    assert (set(PERFORMED.reads), set(PERFORMED.changes)) == ({GetItem}, {PutItem})


class AnyPort:
    """Says by which of its two calls it was asked."""

    async def read(self, operation: object) -> object:
        return "read", operation

    async def change(self, operation: object) -> object:
        return "change", operation


def test_a_port_is_asked_by_the_call_that_an_operation_is_for() -> None:
    assert asyncio.run(asked(AnyPort(), GET)) == ("read", GET)  # type: ignore[arg-type]
    assert asyncio.run(asked(AnyPort(), PUT)) == ("change", PUT)  # type: ignore[arg-type]


def test_a_change_is_not_asked_for_as_if_it_read_nor_the_other_way() -> None:
    with pytest.raises(TypeError, match="PutItem is asked for by the wrong one"):
        PERFORMED.reading(PUT)
    with pytest.raises(TypeError, match="GetItem is asked for by the wrong one"):
        PERFORMED.changing(GET)


def test_what_nothing_performs_is_refused() -> None:
    for find in (Performed(ANOTHER).reading, Performed(ANOTHER).changing):
        with pytest.raises(TypeError, match="GetItem is not among"):
            find(GET)


def test_what_is_performed_twice_does_not_build() -> None:
    with pytest.raises(DeclarationError, match="More than one method performs GetItem"):
        ONE(GetItem)(Adapter._get)
    twice = Performers()
    twice(GetItem)(Adapter._get)
    with pytest.raises(DeclarationError, match="More than one method performs GetItem"):
        Performed(ONE, twice)


def test_functions_perform_on_what_they_are_given_and_are_called_as_before() -> None:
    direct = DirectPerformers()

    @direct(GetItem)
    def get(given: list[str], operation: GetItem) -> str:  # type: ignore[misc]
        given.append(operation.key)
        return operation.key

    given: list[str] = []
    assert Performed(direct).reading(GET)(given, GET) == get(given, GET) == "a"
    assert given == ["a", "a"]
    with pytest.raises(DeclarationError, match="More than one method performs GetItem"):
        direct(GetItem)(get)
