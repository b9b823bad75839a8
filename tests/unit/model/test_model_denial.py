"""Denials as facts: made where all that their place knows is asked for, and known as before."""

from __future__ import annotations

import ast
from pathlib import Path

import msgspec
import pytest

import casemate
from casemate.model.denial import Denial, DenialKind, denied_at, denied_on, denied_to
from casemate.model.facts import NOT_BY_NETWORK, Actor, Fact, FunctionPlace
from casemate.model.principal import NODE, Resource, ResourceKind

ADA = Actor("user:ada", "192.0.2.7")
PLACE = FunctionPlace("shop", "cart", 3, "inv_1")
SOURCES = Path(casemate.__file__).parent


def test_of_the_node() -> None:
    denial = denied_on(
        NODE, at=1.0, kind=DenialKind.AUTHENTICATION, by=ADA, action="GET api", reason="no"
    )
    assert isinstance(denial, Fact)
    assert (denial.by, denial.principal, denial.remote_address) == ("user:ada",) * 2 + (ADA[1],)
    assert (denial.resource, denial.project, denial.function) == ("node", "", "")


def test_of_a_resource() -> None:
    for kind, function in ((ResourceKind.FUNCTION, "cart"), (ResourceKind.TABLE, "")):
        resource = Resource(kind=kind, project="shop", name="cart")
        denial = denied_on(
            resource, at=1.0, kind=DenialKind.AUTHORIZATION, by=ADA, action="a", reason="no"
        )
        assert (denial.project, denial.function) == ("shop", function)
        assert denial.resource == f"{kind.value}:shop/cart"


def test_of_a_function() -> None:
    denial = denied_at(PLACE, at=1.0, kind=DenialKind.CONTRACT, by=ADA, action="a", reason="no")
    assert denial.resource == "function:shop/cart"
    assert (denial.project, denial.function) == ("shop", "cart")
    assert (denial.version, denial.invocation) == (3, "inv_1")
    assert (denial.by, denial.remote_address) == ADA


def test_to_a_function() -> None:
    denial = denied_to(
        PLACE, at=1.0, kind=DenialKind.EGRESS, action="a", resource="host:x", reason="no", count=4
    )
    assert (denial.by, denial.remote_address) == ("function:shop/cart", NOT_BY_NETWORK)
    assert (denial.resource, denial.count, denial.invocation) == ("host:x", 4, "inv_1")


@pytest.mark.parametrize("make", [denied_on, denied_at, denied_to])
def test_nothing_that_a_place_knows_can_be_left_out(make) -> None:
    place = NODE if make is denied_on else PLACE
    given = {"at": 1.0, "kind": DenialKind.LOAD, "action": "a", "reason": "no"}
    given |= {"resource": "r"} if make is denied_to else {"by": ADA}
    make(place, **given)
    for name in given:
        with pytest.raises(TypeError, match=name):
            make(place, **{key: value for key, value in given.items() if key != name})


def test_records_and_answers_call_it_as_before() -> None:
    denial = denied_at(PLACE, at=1.0, kind=DenialKind.LOAD, by=ADA, action="a", reason="no")
    found = msgspec.json.decode(msgspec.json.encode(denial))
    names = "at kind principal action resource reason project function version invocation"
    assert set(found) == {*names.split(), "remote_address", "count", "node"}
    assert found["principal"] == "user:ada"
    assert msgspec.json.decode(msgspec.json.encode(denial), type=Denial) == denial


def test_none_is_made_by_hand() -> None:
    """Only the functions of the model, and what reads rows, know its fields one by one."""
    makers = {
        str(path.relative_to(SOURCES))
        for path in SOURCES.rglob("*.py")
        if "Denial" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and (getattr(node.func, "id", "") or getattr(node.func, "attr", "")) == "Denial"
    }
    assert makers == {"model/denial.py", "recorder/records/denials.py"}
