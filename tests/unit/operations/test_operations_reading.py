"""Hostile paths, queries and bodies are refused; what is let through is of its type."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from operations_values import of

from casemate.model.errors import CasemateError, InvalidInputError
from casemate.model.function import NAME_PATTERN
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation
from casemate.operations.errors import MalformedError
from casemate.operations.fields import Digest, Id, Limit, Moment, Name, VersionNumber, text
from casemate.operations.form import form_of
from casemate.operations.reading import pairs_of, read, read_body, read_path, read_query

ANY_TEXT = st.text(st.characters())
"""Lone surrogates too."""


class Colour(StrEnum):
    RED = "red"
    DARK = "dark.*"


class Asked(Operation[None], frozen=True, kw_only=True):
    """Take every kind of field that an address can hold."""

    declared = Declaration(http="GET /a/{name}/{id}/{digest}/{version}", action=Action.NODE_READ)
    name: Name
    id: Id
    digest: Digest
    version: VersionNumber
    text: Annotated[str, text("A text.", least=1, most=8)]
    flag: bool = False
    limit: Limit = 100
    since: Moment | None = None
    colour: Colour | None = None


class Told(Operation[None], frozen=True, kw_only=True):
    """Take a body."""

    declared = Declaration(http="POST /a", action=Action.NODE_READ)
    name: Name
    key: str | int | float
    limit: Limit = 100
    value: dict[str, Any] | None = None


PATH = {"name": "n", "id": "i", "digest": "a" * 64, "version": "1"}
ASKED, TOLD = form_of(Asked), form_of(Told)


@pytest.mark.parametrize(
    ("name", "hostile"),
    [
        *(("name", bad) for bad in ("", ".", "..", "../n", "n/m", "n%2fm", "%2e", "n\n", "\nn")),
        *(("name", bad) for bad in ("N", "n" * 64, "n\0", "n ", "\ud800", "é", "\uff4e", "-n")),
        *(("id", bad) for bad in ("", "..", "i\n", "-i", "i" * 65, "i/..", "i\ud800", "í")),
        *(("digest", bad) for bad in ("a" * 63, "a" * 65, "A" * 64, "a" * 64 + "\n", "g" * 64)),
        *(("version", bad) for bad in ("0", "01", "007", "-1", "+1", "1\n", " 1", "1_0", "1e3")),
        *(("version", bad) for bad in ("0x1", "1.0", "\u0661", "9" * 16, "9" * 5000, "true")),
    ],
)
def test_hostile_paths(name: str, hostile: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read_path(ASKED, {**PATH, name: hostile})
    assert len(caught.value.message) < 400


@settings(max_examples=300)
@given(name=ANY_TEXT)
def test_a_path_is_what_its_pattern_says(name: str) -> None:
    expected = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z").match(name)
    try:
        found = read_path(ASKED, {**PATH, "name": name})["name"]
    except MalformedError:
        assert expected is None
    else:
        assert expected is not None
        assert found == name


@pytest.mark.parametrize(
    "query",
    [
        *(b"limit=1&limit=1", b"limit=1&limit=2", b"limit=1&%6Cimit=1", b"limit=1&l%69mit=2"),
        *(b"limit", b"&", b"limit=1&", b"&limit=1", b"limit=1&&text=x", b"text=%FF", b"%FF=1"),
        *(b"text=%C0%AF", b"text=%ED%A0%80", b"text=%F4%90%80%80", b"text=\xc3\xa9", b"\xff=1"),
    ],
)
def test_queries_that_are_no_pairs(query: bytes) -> None:
    with pytest.raises(MalformedError):
        pairs_of(query)


@settings(max_examples=300)
@given(query=st.binary(max_size=60) | st.text("abl%=&+;0123456789F", max_size=60).map(str.encode))
def test_whatever_a_query_holds_its_names_are_told_apart(query: bytes) -> None:
    try:
        found = pairs_of(query)
    except MalformedError:
        return
    assert len(found) == (query.count(b"&") + 1 if query else 0)
    for each in (*found, *found.values()):
        each.encode()  # no lone surrogates


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"text": "x", "other": "1"},
        {"text": "x", "name": "n"},
        {"text": "x", "Text": "x"},
        {"text": "x", "text\n": "x"},
        *({"text": "x", "limit": bad} for bad in ("", "0", "1001", "-1", "+1", "1\n", " 1")),
        *({"text": "x", "limit": bad} for bad in ("1e2", "0x1", "1_0", "\u0661", "9" * 19)),
        {"text": "x", "limit": "9" * 5000},
        *({"text": "x", "flag": bad} for bad in ("", "1", "True", "true\n", "yes")),
        *({"text": "x", "since": bad} for bad in ("", "-1", "1e3", "nan", "inf", "1.", ".5")),
        *({"text": "x", "since": bad} for bad in ("1.1234567891", "1\n", "9" * 13, "\u0661")),
        *({"text": "x", "colour": bad} for bad in ("", "RED", "red\n", "darker", "red|dark.*")),
    ],
)
def test_hostile_queries(query: dict[str, str]) -> None:
    with pytest.raises(MalformedError) as caught:
        read_query(ASKED, query)
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("length", [0, 9, 5000])
def test_a_text_of_another_length_is_understood_and_refused(length: int) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_query(ASKED, {"text": "x" * length})
    assert "xx" not in caught.value.message


@settings(max_examples=300)
@given(
    values=st.dictionaries(
        st.sampled_from([*ASKED.in_query, "other"]),
        ANY_TEXT | st.from_regex(r"[0-9.]{1,20}|true|false|red", fullmatch=True),
    )
)
def test_what_a_query_gives_is_of_its_type(values: dict[str, str]) -> None:
    try:
        found = read_query(ASKED, values)
    except CasemateError:
        return
    assert found.keys() == values.keys()
    for name, value in found.items():
        assert msgspec.convert(value, ASKED.fields[name].type) == value


def test_a_moment_is_held_to_the_bounds_of_its_field() -> None:
    for bounds in (msgspec.Meta(ge=1, le=2), msgspec.Meta(ge=1, lt=2.5)):
        kind = Annotated[float, bounds]
        assert read("query's at", "1.5", kind) == 1.5
        for bad in ("0.5", "2.5", "3"):
            with pytest.raises(MalformedError):
                read("query's at", bad, kind)


def test_a_type_that_no_text_stands_for_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError):
        read("query's x", "1", dict[str, int])


# -- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b"1", b"{}", b'{"name": "n"}', b'{"name": "n", "key": null}'),
        b'{"name": "n", "key": 1, "other": 1}',
        b'{"name": "n\\n", "key": 1}',
        b'{"name": "N", "key": 1}',
        b'{"name": "n", "key": true}',
        b'{"name": "n", "key": "\\ud800"}',
        b'{"name": "n", "key": "\\udc00x"}',
        b'{"name": "n", "key": "\xed\xa0\x80"}',
        b'{"name": "n", "key": 1e400}',
        b'{"name": "n", "key": ' + b"9" * 5000 + b"}",
        b'{"name": "n", "key": NaN}',
        b'{"name": "n", "key": 1, "limit": 0}',
        b'{"name": "n", "key": 1, "limit": 1.5}',
        b'{"name": "n", "key": 1, "limit": "1"}',
        b'{"name": "n", "key": 1, "limit": ' + b"9" * 400 + b"}",
        b'{"name": "n", "key": 1, "value": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
        b'{"name": "n", "key": 1} {}',
        b'\xef\xbb\xbf{"name": "n", "key": 1}',
    ],
)
def test_hostile_bodies(body: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        read_body(TOLD, body)
    assert len(caught.value.message) < 400


@settings(max_examples=300)
@given(body=st.binary(max_size=60) | st.text('{}[]":,\\udc0n "key1eE-name', max_size=60))
def test_whatever_a_body_holds_it_is_read_or_refused(body: bytes | str) -> None:
    try:
        read_body(TOLD, body.encode() if isinstance(body, str) else body)
    except MalformedError:
        return


@settings(deadline=None)
@given(name=of(Name), limit=of(Limit))
def test_what_is_left_out_of_a_body_is_as_declared(name: str, limit: int) -> None:
    body = msgspec.json.encode({"name": name, "key": 1, "limit": limit})
    assert read_body(TOLD, body) == {"name": name, "key": 1, "limit": limit, "value": None}


def test_an_operation_without_a_body_reads_none() -> None:
    assert read_body(ASKED, b"{anything") == {}
