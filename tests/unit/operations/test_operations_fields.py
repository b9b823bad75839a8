"""Patterns of fields: their end is the end, and no text keeps them busy for long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import inspect as types
from tests.support.expressions import Expression, slow_inputs

from casemate.operations.catalogue import FORMS
from casemate.operations.fields import whole


def patterns_of(kind: Any) -> Iterator[str]:
    """Yield the patterns of a type, however deep they are in it."""
    if isinstance(kind, types.StrType):
        if kind.pattern is not None:
            yield kind.pattern
    elif isinstance(kind, types.Metadata):
        yield from patterns_of(kind.type)
    elif isinstance(kind, types.UnionType):
        for each in kind.types:
            yield from patterns_of(each)
    elif isinstance(kind, types.CollectionType):
        yield from patterns_of(kind.item_type)
    elif isinstance(kind, types.DictType):
        yield from patterns_of(kind.key_type)
        yield from patterns_of(kind.value_type)
    elif isinstance(kind, types.StructType):
        for each in kind.fields:
            yield from patterns_of(each.type)


PATTERNS = sorted(
    {
        pattern
        for form in FORMS
        for field in form.fields.values()
        for pattern in patterns_of(types.type_info(field.type))
    }
)


def test_patterns_are_found_where_they_are() -> None:
    assert len(PATTERNS) >= 4


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_of_the_whole_text(pattern: str) -> None:
    """Else a line feed, or what is before or behind, gets past it."""
    assert pattern.startswith("^")
    assert pattern.endswith(r"(?!\n)$")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_is_linear(pattern: str) -> None:
    used = frozenset(("search", "fullmatch"))
    assert slow_inputs(Expression("a field", re.compile(pattern), used)) is None


def test_whole() -> None:
    assert re.search(whole("^a$"), "a\n") is None
    assert re.search("^a$", "a\n") is not None
    assert re.search(whole("^a$"), "a") is not None
