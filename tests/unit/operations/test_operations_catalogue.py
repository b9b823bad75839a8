"""Operations that do not agree with themselves or with each other do not build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from casemate.model.principal import Action
from casemate.operations.catalogue import FORMS, MODULES, checked, operations_of
from casemate.operations.declaration import Decided, Declaration, Effect, Operation
from casemate.operations.errors import DeclarationError
from casemate.operations.fields import Name


def made(name: str = "ReadThing", *, doc: str | None = "Do it.", **declared: Any) -> Any:
    """Return an operation with a field `name`, declared so."""
    declared.setdefault("http", "GET /things/{name}")
    if "decided" not in declared:
        declared.setdefault("action", Action.NODE_READ)

    class Made(Operation[None], frozen=True, kw_only=True):
        name: Name

    Made.__name__ = name
    Made.__doc__ = doc
    Made.declared = Declaration(**declared)
    return Made


def refused(*kinds: Any) -> str:
    with pytest.raises(DeclarationError) as caught:
        checked(kinds)
    return str(caught.value)


def test_what_agrees_builds() -> None:
    (form,) = checked([made()])
    assert (form.id, form.method, form.path) == ("readThing", "GET", "/things/{name}")
    assert (form.effect, form.summary, form.answer) == (Effect.READ, "Do it", None)


def test_every_operation_of_every_module_is_among_them() -> None:
    declared = [kind for module in MODULES for kind in operations_of(module)]
    assert [form.kind for form in FORMS] == declared
    assert len(set(declared)) == len(declared)


def test_no_action_and_nobody_who_decides() -> None:
    message = refused(made(action=None))
    assert "ReadThing" in message
    assert "neither" in message


def test_an_action_that_somebody_else_decides_too() -> None:
    refused(made(action=Action.NODE_READ, decided=Decided.OPEN))


def test_an_action_that_guards_reading_and_destroying() -> None:
    reads = made(action=Action.QUEUE_READ)
    destroys = made("DropThing", http="DELETE /things/{name}", action=Action.QUEUE_READ)
    message = refused(reads, destroys)
    assert all(part in message for part in ("queue:read", "ReadThing", "DropThing"))
    purges = made(
        "PurgeThing",
        http="POST /things/{name}",
        effect=Effect.DESTROY,
        action=Action.QUEUE_READ,
    )
    refused(purges, reads)
    changes = made("SetThing", http="PUT /things/{name}", action=Action.QUEUE_READ)
    assert len(checked([reads, changes])) == 2


def test_two_with_one_path() -> None:
    assert "GET /things" in refused(made(), made("OtherThing"))


def test_two_with_one_path_whose_parameters_are_called_otherwise() -> None:
    class OtherThing(Operation[None], frozen=True, kw_only=True):
        """Do it."""

        declared = Declaration(http="GET /things/{other}", action=Action.NODE_READ)
        other: Name

    assert "GET /things" in refused(made(), OtherThing)


def test_two_with_one_id_or_one_name_for_functions() -> None:
    assert "id" in refused(made(), made(http="GET /others/{name}"))

    class Used(Operation[None], frozen=True, kw_only=True):
        """Do it."""

        declared = Declaration(action=Action.QUEUE_SEND, capability="thing.use")
        project: Name

    class UsedToo(Operation[None], frozen=True, kw_only=True):
        """Do it."""

        declared = Declaration(action=Action.QUEUE_SEND, capability="thing.use")
        project: Name

    assert "capability" in refused(Used, UsedToo)


def test_a_path_field_that_need_not_be_given() -> None:
    class ReadThing(Operation[None], frozen=True, kw_only=True):
        """Do it."""

        declared = Declaration(http="GET /things/{name}", action=Action.NODE_READ)
        name: Name = "n"

    assert "need not be given" in refused(ReadThing)


@pytest.mark.parametrize("doc", [None, "", "   \n "])
def test_no_docstring(doc: str | None) -> None:
    assert "docstring" in refused(made(doc=doc))


def test_a_docstring_that_is_the_base_class_own() -> None:
    class Undocumented(Operation[None], frozen=True, kw_only=True):
        declared = Declaration(http="GET /things", action=Action.NODE_READ)

    assert "docstring" in refused(Undocumented)


def test_no_type_of_the_answer() -> None:
    class ReadThing(Operation, frozen=True, kw_only=True):  # type: ignore[type-arg]
        """Do it."""

        declared = Declaration(http="GET /things", action=Action.NODE_READ)

    assert "answered" in refused(ReadThing)


def test_what_nothing_can_reach() -> None:
    assert "reached" in refused(made(http=""))


def test_what_is_the_nodes_own_is_reached_by_nothing_outside() -> None:
    own: dict[str, Any] = {"action": None, "decided": Decided.INSIDE}
    (form,) = checked([made(http="", **own)])
    assert form.effect is Effect.CHANGE
    assert "outside" in refused(made(**own))
    assert "outside" in refused(made(http="", capability="thing.read", **own))
    assert "expected one" in refused(made(http="", decided=Decided.INSIDE, action=Action.NODE_READ))


def test_what_is_for_functions_and_of_no_project() -> None:
    assert "project" in refused(made(capability="thing.read"))


@pytest.mark.parametrize(
    "declared",
    [
        {"http": "GET /things/{name}/{other}"},
        {"content": "other"},
        {"key": "other"},
        {"inside": frozenset({"other"})},
        {"secret": frozenset({"other"})},
    ],
)
def test_fields_that_there_are_not(declared: dict[str, Any]) -> None:
    assert "other" in refused(made(**declared))


@pytest.mark.parametrize("http", ["GET /things/{name}", "GET /things", "DELETE /things"])
def test_a_secret_in_an_address(http: str) -> None:
    assert "secret" in refused(made(http=http, secret=frozenset({"name"})))
    assert checked([made(http="POST /things", secret=frozenset({"name"}))])


def _texts(info: msgspec.inspect.Type) -> Iterator[msgspec.inspect.StrType]:
    match info:
        case msgspec.inspect.Metadata():
            yield from _texts(info.type)
        case msgspec.inspect.UnionType():
            for each in info.types:
                yield from _texts(each)
        case msgspec.inspect.StrType():
            yield info


def test_what_an_operation_acts_on_has_the_form_of_a_name() -> None:
    """What is no name was denied as if no policy allowed it: 403, where 400 says what to do."""
    open_names: list[str] = []
    for module in MODULES:
        for kind in operations_of(module):
            if kind.declared.action is None or not kind.declared.http:
                continue
            asked: set[str] = set()

            def value(name: str, asked: set[str] = asked) -> str:
                asked.add(name)
                return "x"

            kind.declared.on(value)
            info = msgspec.inspect.type_info(kind)
            assert isinstance(info, msgspec.inspect.StructType)
            open_names += [
                f"{kind.__name__}.{field.name}"
                for field in info.fields
                if field.encode_name in asked and any(t.pattern is None for t in _texts(field.type))
            ]
    assert not open_names
