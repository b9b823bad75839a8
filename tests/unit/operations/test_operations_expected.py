"""Who mistypes a name is told in words what one looks like."""

from __future__ import annotations

import re

import msgspec
import pytest

from casemate.operations.advisories import ListAdvisoryExceptions
from casemate.operations.errors import MalformedError
from casemate.operations.expected import WORDS, expected, in_words
from casemate.operations.fields import Id, Name, Roles, whole
from casemate.operations.form import Form
from casemate.operations.reading import read_body, read_query
from casemate.operations.users import AddUser


def test_a_query_and_a_body_say_it_without_an_expression() -> None:
    with pytest.raises(MalformedError) as found:
        read_query(Form(ListAdvisoryExceptions), {"project": "Shop/cart"})
    assert "'Shop/cart', expected 1 to 63 lower-case letters" in found.value.message
    body = msgspec.json.encode({"name": "ada", "roles": ["Boss of all"]})
    with pytest.raises(MalformedError) as refused:
        read_body(Form(AddUser), body)
    assert "Expected a role such as developer, developer@shop" in refused.value.message
    for message in (found.value.message, refused.value.message):
        assert "(?" not in message
        assert "regex" not in message


class _Body(msgspec.Struct):
    name: Name = "a"
    id: Id = "a"
    roles: Roles = ()


@pytest.mark.parametrize("field", ["name", "id", "roles"])
def test_it_is_told_where_it_stands(field: str) -> None:
    wrong = ["Not one"] if field == "roles" else "Not one"
    with pytest.raises(msgspec.ValidationError) as found:
        msgspec.convert({field: wrong}, _Body)
    told = in_words(str(found.value))
    assert told.startswith("Expected ")
    assert "regex" not in told
    assert f"`$.{field}" in told


def test_an_expression_that_has_no_words_is_shown() -> None:
    assert expected(whole("^[a-c]$")) == "text that matches ^[a-c]$"
    assert in_words("Expected `str` matching regex '^[a-c]$'").endswith("'^[a-c]$'")


def test_there_are_words_for_expressions_that_fields_have() -> None:
    """None of them stands there for a pattern that has changed since."""
    for pattern in WORDS:
        re.compile(pattern)
    assert expected(whole("^[0-9a-f]{64}$")).startswith("a SHA-256")
