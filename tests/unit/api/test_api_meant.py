"""A mistyped name of anything that can be listed is told with the one that may be meant."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

import casemate
from casemate.api.meant import LISTS, told_unnamed
from casemate.api.named import MAX_COMPARED
from casemate.api.performing import Performers
from casemate.model.errors import NoNamedError, NotFoundError, UnavailableError
from casemate.model.grant import BucketSpec, QueueSpec
from casemate.model.principal import Action, Resource
from casemate.operations.declaration import Decided, Operation
from casemate.operations.form import form_of
from casemate.operations.messages import ListQueues, Queues
from casemate.operations.objects import Buckets, ListBuckets
from casemate.operations.samples import answer_of, sample


def may(_action: Action, _resource: Resource) -> bool:
    return True


def may_not(_action: Action, _resource: Resource) -> bool:
    return False


async def samples(operation: Operation[Any]) -> Any:
    form = form_of(type(operation))
    shown = sample(form.answer, form.id) if form.declared.answer is None else answer_of(form)
    return msgspec.convert(shown, form.answer)


def no_named(kind: str, name: str) -> NoNamedError:
    return NoNamedError(kind, name, f"No {kind} {name}.", next_step="List them.", project="shop")


def told(error: NoNamedError, allowed: Any = may, listed: Any = samples) -> NotFoundError:
    return asyncio.run(told_unnamed(error, allowed, listed))


@pytest.mark.parametrize("kind", LISTS)
def test_a_name_of_nearly_the_same_letters_is_told(kind: str) -> None:
    operation = LISTS[kind].operation("shop")
    assert type(operation) in Performers.of_all
    (name, *_) = LISTS[kind].names(asyncio.run(samples(operation)))
    assert told(no_named(kind, f"{name}x")).message.endswith(f'; did you mean "{name}"?')
    assert told(no_named(kind, "zzz")).message == f"No {kind} zzz."


@pytest.mark.parametrize("kind", LISTS)
def test_none_is_told_to_who_may_not_list_them(kind: str) -> None:
    """A list that decides for each thing does so itself; no other is even looked at."""
    operation = LISTS[kind].operation("shop")
    if form_of(type(operation)).declared.decided is Decided.FOR_EACH:
        return
    (name, *_) = LISTS[kind].names(asyncio.run(samples(operation)))

    async def unlisted(_: Operation[Any]) -> Any:
        raise AssertionError

    assert told(no_named(kind, f"{name}x"), may_not, unlisted).message == f"No {kind} {name}x."


def test_a_project_that_is_there_and_has_no_data_is_not_asked_about() -> None:
    (name, *_) = LISTS["project"].names(asyncio.run(samples(LISTS["project"].operation(""))))
    assert told(no_named("project", name)).message == f"No project {name}."


def test_a_list_that_cannot_be_had_hides_no_error() -> None:
    async def broken(_: Operation[Any]) -> Any:
        raise UnavailableError("Away.")

    error = no_named("secret", "keyx")
    shown = told(error, listed=broken)
    assert shown is not error
    assert (shown.message, shown.next_step) == (error.message, error.next_step)


def test_each_kind_that_is_missed_anywhere_has_a_list() -> None:
    found = set()
    for path in Path(casemate.__file__).parent.rglob("*.py"):
        text = path.read_text()
        if "NoNamedError(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "NoNamedError":
                kind = node.args[0]
                found.add(kind.value if isinstance(kind, ast.Constant) else None)
    # Those of data are named by what is looked for.
    assert found - {None} == LISTS.keys() - {"bucket", "table", "queue", "topic"}


@pytest.fixture
def listed() -> Any:
    async def data(operation: Operation[Any]) -> Any:
        if isinstance(operation, ListQueues):
            return Queues(queues=(QueueSpec(name="new"),), topics=(QueueSpec(name="news"),))
        if isinstance(operation, ListBuckets):
            many = (BucketSpec(name=f"b{number:03}") for number in range(2 * MAX_COMPARED))
            return Buckets(buckets=tuple(many))
        return await samples(operation)

    return data


@pytest.mark.parametrize(
    ("kind", "name", "end", "step"),
    [
        ("queue", "news", "; news is a topic.", "`casemate queues show shop/news --topic`"),
        ("topic", "new", "; new is a queue.", "`casemate queues show shop/new`"),
        ("queue", "neww", '; did you mean "new"?', "List them."),
        ("table", "b099", "; b099 is a bucket.", "`casemate buckets objects shop/b099`"),
        ("secret", "news", ".", "List them."),
    ],
)
def test_a_name_of_another_kind_is_told(
    listed: Any, kind: str, name: str, end: str, step: str
) -> None:
    answer = told(no_named(kind, name), listed=listed)
    assert answer.message == f"No {kind} {name}{end}"
    assert step in str(answer.next_step)
