"""What the client sends for an operation is read as that very operation, wherever fields travel."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.operations import samples
from casemate.operations.catalogue import FORMS
from casemate.operations.errors import MalformedError
from casemate.operations.form import Form, form_of
from casemate.operations.functions import RemoveVersion
from casemate.operations.reading import pairs_of, read_body, read_path, read_query
from casemate.operations.records import ListInvocations, ReadLogs

ASKED = [form for form in FORMS if form.declared.http]


def everything(form: Form) -> Any:
    """Return an example of an operation with all the fields that a request can hold."""
    names = [*form.in_path, *form.in_query, *form.in_body]
    values = {name: samples.sample(form.fields[name].type, name) for name in names}
    return msgspec.convert({**values, **form.declared.example}, form.kind)


def read_back(form: Form, operation: Any) -> Any:
    """Return the operation that a node makes of what the client sends."""
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", form.path)
    found = re.fullmatch(pattern, form.target(operation))
    assert found is not None
    values = read_path(form, {name: unquote(text) for name, text in found.groupdict().items()})
    values |= read_query(form, pairs_of(urlencode(form.query(operation)).encode()))
    if form.in_body:
        values |= read_body(form, msgspec.json.encode(form.json(operation)))
    return form.make(values)


@pytest.mark.parametrize("form", ASKED, ids=lambda form: form.id)
def test_the_least_and_the_most_that_can_be_asked(form: Form) -> None:
    least = samples.request_of(form)
    for operation in (everything(form), *([] if form.declared.content else [least])):
        assert read_back(form, operation) == operation


@given(st.floats(0, 10**11))
def test_a_moment_travels_to_the_microsecond(moment: float) -> None:
    form = form_of(ListInvocations)
    read = read_back(form, ListInvocations(since=moment)).since
    assert abs(read - moment) <= max(1e-6, moment * 1e-15)


@pytest.mark.parametrize(
    "number", ["007", "0", "-1", "+1", "1e3", " 1", "1\n", "", "9" * 16, "\u0661"]
)
def test_a_version_has_one_path(number: str) -> None:
    with pytest.raises(MalformedError):
        read_path(form_of(RemoveVersion), {"project": "shop", "function": "cart", "number": number})


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=10001",
        "after=-1",
        "after=9007199254740993",
        "follow=yes",
        "follow=True",
        "project=Shop",
        "project=shop%0A",
        "invocation=..%2Fx",
        "limit=1&limit=2",
        "lines=1",
    ],
)
def test_a_query_that_is_not_as_declared(query: str) -> None:
    with pytest.raises(MalformedError):
        read_query(form_of(ReadLogs), pairs_of(query.encode()))


def test_a_moment_is_taken_as_python_writes_it() -> None:
    read = read_query(form_of(ListInvocations), {"since": "1795852312.4426923"})
    assert read["since"] == 1795852312.4426923


@pytest.mark.parametrize(
    "moment", ["1e9", "nan", "inf", "-1", "1.", ".5", "1" * 13, "1.1234567891"]
)
def test_a_moment_that_is_none(moment: str) -> None:
    with pytest.raises(MalformedError):
        read_query(form_of(ListInvocations), {"since": moment})
