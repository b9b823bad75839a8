"""Values and operations made up from their types, and the way of an operation over HTTP."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx2
import msgspec
from hypothesis import strategies as st
from msgspec import inspect as types
from starlette.routing import compile_path

from casemate.operations.declaration import Operation
from casemate.operations.form import Form
from casemate.operations.reading import pairs_of, read_body, read_path, read_query

TEXT = st.characters(exclude_categories=("Cs",))
LONGEST = 40
"""Of texts and lists whose type allows more: the rest is more of the same."""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(TEXT, max_size=LONGEST),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(TEXT), parts, max_size=3),
    max_leaves=8,
)


def of(kind: Any) -> st.SearchStrategy[Any]:
    """Return values of a type of a field."""
    return _of(types.type_info(kind))


def _of(kind: types.Type) -> st.SearchStrategy[Any]:
    match kind:
        case types.Metadata(type=inner):
            return _of(inner)
        case types.UnionType(types=several):
            return st.one_of(map(_of, several))
        case types.StrType(pattern=str(pattern)):
            return _texts_like(pattern, kind.max_length)
        case types.StrType():
            most = min(kind.max_length or LONGEST, LONGEST)
            return st.text(TEXT, min_size=kind.min_length or 0, max_size=most)
        case types.IntType():
            most = kind.le if kind.le is not None else (kind.lt - 1 if kind.lt else 2**53)
            return st.integers(-(2**53) if kind.ge is None else kind.ge, most)
        case types.FloatType():
            most = kind.le if kind.le is not None else kind.lt
            made = st.floats(kind.ge, most, exclude_max=kind.le is None and most is not None)
            return made.filter(lambda value: abs(value) < 1e300).map(lambda value: round(value, 6))
        case types.BoolType():
            return st.booleans()
        case types.NoneType():
            return st.none()
        case types.EnumType():
            return st.sampled_from(list(kind.cls))
        case types.VarTupleType(item_type=item):
            least, most = kind.min_length or 0, min(kind.max_length or 4, 4)
            return st.lists(_of(item), min_size=least, max_size=most).map(tuple)
        case types.DictType(key_type=key, value_type=value):
            return st.dictionaries(_of(key), _of(value), max_size=min(kind.max_length or 4, 4))
        case types.BytesType():
            return st.binary(max_size=min(kind.max_length or LONGEST, LONGEST))
        case types.AnyType():
            return JSON
        case types.RawType():
            return JSON.map(msgspec.json.encode).map(msgspec.Raw)
        case types.StructType():
            return _struct(kind.cls, {f.name: f.type for f in kind.fields})
    raise TypeError(f"No values are made for {kind}.")


@cache
def _texts_like(pattern: str, most: int | None) -> st.SearchStrategy[str]:
    """Return texts of an expression: most fields of operations share a few of them."""
    made = st.from_regex(pattern, fullmatch=True)
    return made.filter(lambda text: len(text) <= (most or len(text)))


def _struct(kind: type[Any], fields: dict[str, types.Type]) -> st.SearchStrategy[Any]:
    required = {f.name for f in msgspec.structs.fields(kind) if f.required}
    return st.fixed_dictionaries(
        {name: _of(fields[name]) for name in fields if name in required},
        optional={name: _of(fields[name]) for name in fields if name not in required},
    ).map(lambda values: kind(**values))


@cache
def operations_of_form(form: Form) -> st.SearchStrategy[Operation[Any]]:
    """Return operations of one type; what only the node fills is left as it is.

    Made once: to make it takes longer than to draw of it, and each example of a test asks.
    """
    found = {n: types.type_info(f.type) for n, f in form.fields.items()}
    filled = {n: kind for n, kind in found.items() if n not in form.declared.inside}
    return _struct(form.kind, filled)


def request_for(form: Form, operation: Operation[Any]) -> httpx2.Request:
    """Return the request that the client makes of an operation."""
    body = form.json(operation)
    return httpx2.Request(
        form.method,
        "http://node" + form.target(operation),
        params=form.query(operation),
        content=b"" if body is None else msgspec.json.encode(body),
    )


def read_back(form: Form, request: httpx2.Request) -> Operation[Any]:
    """Return the operation that the server understands of a request."""
    path, _, query = request.url.raw_path.partition(b"?")
    matched = compile_path(form.path)[0].match(unquote_to_bytes(path).decode())
    assert matched is not None, (form.path, path)
    values = read_path(form, matched.groupdict())
    values |= read_query(form, pairs_of(query))
    return form.make(values | read_body(form, request.content))
