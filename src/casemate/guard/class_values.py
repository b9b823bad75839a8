"""Values that a class keeps for all of its objects, beside the fields that each object has."""

from __future__ import annotations

from typing import Any

_PLAIN = (str, bytes, int, float, bool, type(None), list, tuple, dict, set, frozenset)
_OF_FIELDS = ("__attrs_attrs__", "__slots__")
"""What a class has whose annotations are of fields."""


def is_value(kind: type, name: str) -> bool:
    """Tell whether a name is of a plain value that a class has itself, and no field of objects.

    What a class makes of its annotations that has another metaclass, or derives from another
    library's, is not known: they count as fields.
    """
    held: Any = vars(kind)
    if name not in held or not isinstance(held[name], _PLAIN):
        return False
    fields = held.get("__dataclass_fields__", {})
    if name in fields:
        return "ClassVar" in str(fields[name].type)
    plain = type(kind) is type and not any(mark in held for mark in _OF_FIELDS)
    return plain and all(each.__module__ == kind.__module__ for each in kind.__mro__[:-1])


def fields(kind: type) -> list[str]:
    """Return the names that a class has by an annotation, and that are no values of its own."""
    return [name for name in annotated(kind) if not is_value(kind, name)]


def annotated(kind: type) -> list[str]:
    """Return the names that a class has an annotation for.

    From Python 3.14 on the annotations are made when somebody asks (PEP 649), which may fail. Then
    it is all names in what would make them: parts of a `Literal` may be among them.
    """
    held = vars(kind)
    named = {**held.get("__annotations__", {}), **held.get("__dataclass_fields__", {})}
    make = getattr(held.get("__annotate_func__"), "__code__", None)
    later = make.co_consts if make is not None else ()
    found = dict.fromkeys((*named, *(c for c in later if type(c) is str and c.isidentifier())))
    return [name for name in found if type(name) is str]
