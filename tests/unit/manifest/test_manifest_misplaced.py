"""Tells of unknown keys where they belong."""

from __future__ import annotations

import pytest

from casemate.manifest.misplaced import _ELSEWHERE, expected_instead
from casemate.manifest.structure import NamedTables, Table
from casemate.manifest.tables import MANIFEST


def function_table() -> Table:
    """Return the table of a function."""
    field = MANIFEST.field("function")
    if field is None or not isinstance(field.kind, NamedTables):
        pytest.fail("The manifest has no functions.")
    return field.kind.table


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("timeout", '"timeout" in [function.a.limits]'),
        ("MemorySize", '"memory" in [function.a.limits]'),
        ("reserved_concurrency", '"concurrency" in [function.a.limits]'),
        ("runtime", '"python", which is what it is called here'),
        ("env", '"environment", which is what it is called here'),
        ("hosts", '"egress" in [function.a.grants]'),
    ],
)
def test_a_key_is_told_where_it_belongs(name: str, expected: str) -> None:
    assert expected_instead(name, function_table(), ("function", "a")) == expected


def test_a_key_of_functions_at_the_top_is_told_its_table() -> None:
    assert expected_instead("handler", MANIFEST, ()) == '"handler" in [function.NAME]'


def test_any_other_key_is_told_what_there_is() -> None:
    expected = expected_instead("handlr", function_table(), ("function", "a"))
    assert expected.startswith("one of handler, ")
    assert expected.endswith('; did you mean "handler"?')
    assert expected_instead("x" * 5000, MANIFEST, ()).startswith("one of ")


def test_each_name_of_other_platforms_leads_to_a_key() -> None:
    for name, word in _ELSEWHERE.items():
        expected = expected_instead(name, function_table(), ("function", "a"))
        assert expected.startswith(f'"{word}"'), name
