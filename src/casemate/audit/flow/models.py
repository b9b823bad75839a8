"""Models that check what they are made of: which characters their fields cannot have."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from casemate.audit.flow import characters
from casemate.audit.flow.state import Class, State
from casemate.audit.flow.values import External, Ref, Value

Limits = tuple[tuple[str, frozenset[str]], ...]
_BASES = ("BaseModel", "SQLModel", "RootModel")
VALIDATING = frozenset(("model_validate_json", "model_validate", "parse_raw", "parse_obj"))
"""Methods of a model that make one of what somebody sent, or raise."""
VALIDATED = "pydantic.BaseModel.validated"
"""How the call of one is named, with the class before what it is given."""
_CONSTRAINTS = ("Field", "StringConstraints", "constr", "Query", "Path", "Body", "Header", "Form")
_SIMPLE = frozenset(
    ("int", "float", "bool", "UUID", "UUID4", "date", "datetime", "time", "PositiveInt", "Decimal")
)


def is_model(bases: tuple[Value, ...], state: State) -> bool:
    """Tell whether a class checks its fields when it is made, by what it is derived from."""
    for base in bases:
        if isinstance(base, External) and base.name.rpartition(".")[2] in _BASES:
            return True
        thing = state.things.get(base.number) if isinstance(base, Ref) else None
        if isinstance(thing, Class) and is_model(thing.bases, state):
            return True
    return False


def limits_of(node: ast.ClassDef, bases: tuple[Value, ...], state: State) -> Limits:
    """Return what the fields of a model cannot have, as far as their types and patterns say it."""
    found: dict[str, frozenset[str]] = {}
    for base in bases:
        thing = state.things.get(base.number) if isinstance(base, Ref) else None
        found.update(thing.limits if isinstance(thing, Class) else ())
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            found[each.target.id] = _of_field(each)
    return tuple((name, without) for name, without in found.items() if without)


def _of_field(field: ast.AnnAssign) -> frozenset[str]:
    kind = ast.unparse(field.annotation).strip("'\"").removesuffix(" | None")
    kind = kind.removeprefix("Optional[").removesuffix("]")
    if kind.rpartition(".")[2] in _SIMPLE:
        return characters.PLAIN
    found: frozenset[str] = frozenset()
    for pattern in _patterns((field.annotation, field.value)):
        # A pattern is searched for, so what it does not begin with may be before it.
        if pattern.startswith(("^", r"\A")):
            found |= characters.by_expression(pattern, whole=False)
    return found


def _patterns(nodes: tuple[ast.expr | None, ...]) -> Iterator[str]:
    for node in nodes:
        for each in ast.walk(node) if node is not None else ():
            if isinstance(each, ast.Call):
                called = getattr(each.func, "id", getattr(each.func, "attr", ""))
                for given in each.keywords if called in _CONSTRAINTS else ():
                    value = given.value
                    text = value.value if isinstance(value, ast.Constant) else None
                    if given.arg in ("pattern", "regex") and isinstance(text, str):
                        yield text


def limited(made: Value, name: str, state: State) -> dict[str, frozenset[str]]:
    """Return what the parts of a model cannot have that is called so: `mail.folder`."""
    thing = state.things.get(made.number) if isinstance(made, Ref) else None
    if not isinstance(thing, Class):
        return {}
    return {f"{name}.{field}": without for field, without in thing.limits}
