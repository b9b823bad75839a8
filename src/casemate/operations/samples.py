"""Examples of operations and their answers, made up by the types where none is declared."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect as types

from casemate.decoding import decodable
from casemate.operations.declaration import Operation
from casemate.operations.errors import DeclarationError
from casemate.operations.form import Form

_MOMENT = 1764201600.0
_DEPTH = 8
_DIGEST = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
NAMED: dict[str, str] = {
    "project": "shop",
    "function": "checkout",
    "bucket": "uploads",
    "table": "orders",
    "queue": "jobs",
    "topic": "news",
    "name": "stripe-key",
    "id": "inv_01a21a5c499d6d1728d66ddc",
    "invocation": "inv_01a21a5c499d6d1728d66ddc",
    "error_id": "err_2f1f25ef71e873e660435a53",
    "digest": _DIGEST,
    "sha256": _DIGEST,
    "user": "ada",
    "by": "user:ada",
    "created_by": "user:ada",
    "principal": "user:ada",
    "content_type": "application/json",
    "resource": "function:shop/checkout",
    "action": "function:invoke",
}
"""What texts of these names are shown as."""
_OTHERWISE = ("live", "1", _DIGEST, "inv_01a21a5c499d6d1728d66ddc", "a", "/shop", "1h")


def request_of(form: Form) -> Operation[Any]:
    """Return an example of an operation; DeclarationError if a field has none that is valid."""
    values = {
        name: form.declared.example[name]
        if name in form.declared.example
        else sample(field.type, name)
        for name, field in form.fields.items()
        if name in form.declared.example or field.required
    }
    try:
        made: Operation[Any] = msgspec.convert(values, decodable(form.kind), from_attributes=True)
    except msgspec.ValidationError as error:
        name = form.kind.__name__
        raise DeclarationError(f"The example of {name} is not valid: {error}") from error
    return made


def answer_of(form: Form) -> Any:
    """Return an example of an operation's answer, as JSON has it; None if it has no JSON."""
    if form.declared.answer is not None:
        return msgspec.to_builtins(form.declared.answer)
    if form.answer is None or form.answer is bytes:
        return None
    return sample(form.answer, form.id)


def sample(kind: Any, name: str) -> Any:
    """Return a value of `kind`, as JSON has it, for something called `name`."""
    return _sample(types.type_info(kind), name, _DEPTH)


def _sample(kind: types.Type, name: str, depth: int) -> Any:
    if isinstance(kind, types.Metadata):
        examples = (kind.extra_json_schema or {}).get("examples")
        return examples[0] if examples else _sample(kind.type, name, depth)
    make = _MAKERS.get(type(kind))
    return {"total": 12} if make is None else make(kind, name, depth)


def _first(kind: types.UnionType, name: str, depth: int) -> Any:
    (first, *_) = (each for each in kind.types if not isinstance(each, types.NoneType))
    return _sample(first, name, depth)


def _struct(kind: types.StructType, _name: str, depth: int) -> dict[str, Any]:
    # What it must have it has however deep it is: that ends, for it can be written down at all.
    found = {
        f.encode_name: _sample(f.type, f.name, depth - 1)
        for f in kind.fields
        if depth > 0 or f.required
    }
    if kind.tag_field is not None:
        found[kind.tag_field] = kind.tag
    return found


def _list(kind: types.ListType | types.VarTupleType, name: str, depth: int) -> list[Any]:
    return [_sample(kind.item_type, name, depth - 1)] if depth > 0 else []


def _tuple(kind: types.TupleType, name: str, depth: int) -> list[Any]:
    return [_sample(each, name, depth - 1) for each in kind.item_types]


def _dict(kind: types.DictType, name: str, depth: int) -> dict[str, Any]:
    if depth <= 0:
        return {}
    return {_sample(kind.key_type, "a", depth - 1): _sample(kind.value_type, name, depth - 1)}


def _float(kind: types.FloatType, name: str, _depth: int) -> float:
    return _MOMENT if name.endswith("_at") else max(kind.ge or 0.0, 1.0)


def _text(kind: types.StrType, name: str, _depth: int) -> str:
    for text in (NAMED.get(name), *_OTHERWISE):
        fits = text is not None and (kind.pattern is None or re.search(kind.pattern, text))
        if fits and (kind.min_length or 0) <= len(text or "") <= (kind.max_length or 1 << 20):
            return text or ""
    raise DeclarationError(f"There is no example for the text {name!r}: add one to its Meta.")


_MAKERS: dict[type[types.Type], Callable[[Any, str, int], Any]] = {
    types.UnionType: _first,
    types.StructType: _struct,
    types.ListType: _list,
    types.VarTupleType: _list,
    types.TupleType: _tuple,
    types.DictType: _dict,
    types.StrType: _text,
    types.IntType: lambda kind, _name, _depth: max(kind.ge or 0, (kind.gt or -1) + 1, 1),
    types.FloatType: _float,
    types.BoolType: lambda _kind, _name, _depth: False,
    types.EnumType: lambda kind, _name, _depth: next(iter(kind.cls)).value,
    types.LiteralType: lambda kind, _name, _depth: kind.values[0],
    types.BytesType: lambda _kind, _name, _depth: "aGVsbG8=",
    types.NoneType: lambda _kind, _name, _depth: None,
}
