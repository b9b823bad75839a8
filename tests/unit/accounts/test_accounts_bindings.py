"""Bindings as text, and which covers which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.accounts.bindings import (
    MAX_BINDINGS,
    binding_text,
    covers,
    parse_binding,
    parse_bindings,
    require_covered,
)
from casemate.accounts.errors import EscalationError
from casemate.model.errors import InvalidInputError
from casemate.model.principal import Principal, PrincipalKind

TEXTS = ["owner", "developer@shop", "invoker@shop/cart", "deployer@a-1/b-2"]


@pytest.mark.parametrize("text", TEXTS)
def test_round_trip(text: str) -> None:
    assert binding_text(parse_binding(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "@shop", "owner@", "owner@shop/", "owner/shop", "Owner", "owner@Shop", "owner@a@b",
     "owner@a/b/c", "owner\n", " owner", "ow ner", "ówner", "owner@shop/cart\n", "a" * 64,
     "owner@../x", "-owner", "owner@*"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_binding(text)
    assert caught.value.next_step


@given(st.text(max_size=80))
def test_whatever_is_parsed_comes_back_the_same(text: str) -> None:
    try:
        binding = parse_binding(text)
    except InvalidInputError:
        return
    assert binding_text(binding) == text


def test_each_once_and_not_too_many() -> None:
    assert len(parse_bindings(["owner", "owner", "auditor"])) == 2
    with pytest.raises(InvalidInputError):
        parse_bindings(f"owner@p{i}" for i in range(MAX_BINDINGS + 1))


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        ("owner", "owner", True),
        ("owner", "developer", True),
        ("owner", "deployer@shop/cart", True),
        ("owner@shop", "owner", False),
        ("owner@shop", "developer@shop", True),
        ("owner@shop", "developer@shopping", False),
        ("owner@shop/cart", "owner@shop", False),
        ("owner@shop/cart", "invoker@shop/cart", True),
        ("owner@shop/cart", "invoker@other/cart", False),
        ("developer", "invoker", False),
        ("developer", "owner", False),
        ("developer", "developer@shop", True),
        ("developer@shop", "developer", False),
        ("developer@shop", "developer@shop/cart", True),
        ("invoker@shop/cart", "invoker@shop/other", False),
    ],
)
def test_covers(held: str, wanted: str, expected: bool) -> None:
    assert covers(parse_binding(held), parse_binding(wanted)) is expected


_BINDINGS = st.builds(
    lambda role, scope: parse_binding(role + scope),
    st.sampled_from(["owner", "developer", "invoker"]),
    st.sampled_from(["", "@a", "@a/f", "@a/g", "@b", "@b/f"]),
)


@given(_BINDINGS, _BINDINGS, _BINDINGS)
def test_covering_is_an_order(a, b, c) -> None:
    assert covers(a, a)
    if covers(a, b) and covers(b, c):
        assert covers(a, c)
    if covers(a, b) and covers(b, a):
        assert a == b


def test_functions_and_strangers_cover_nothing() -> None:
    for kind in (PrincipalKind.FUNCTION, PrincipalKind.ANONYMOUS):
        with pytest.raises(EscalationError, match="owner"):
            require_covered(Principal(kind=kind, id="x"), [parse_binding("owner")], "do it")
