"""Principals, resources and bindings as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_samples import TRIGGER, acting, function, project, thing, token, user

from casemate.model.principal import ANONYMOUS, NODE, Action, ResourceKind, RoleBinding
from casemate.policy import parse_action, parse_binding, parse_principal, parse_resource
from casemate.policy.errors import PolicyTextError


@pytest.mark.parametrize("one", [user(), token(), acting(), TRIGGER, ANONYMOUS])
def test_principals_as_they_are_shown(one) -> None:
    assert parse_principal(one.text) == one


@pytest.mark.parametrize(
    "one",
    [
        NODE,
        project(),
        function(),
        thing(ResourceKind.SECRET),
        thing(ResourceKind.HOST, "shop/api.example.com:443"),
        thing(ResourceKind.HOST, "shop/[::1]:5432"),
    ],
)
def test_resources_as_they_are_shown(one) -> None:
    assert parse_resource(one.text) == one


def test_actions() -> None:
    assert all(parse_action(action.value) is action for action in Action)


@pytest.mark.parametrize(
    ("text", "role", "place", "function_name"),
    [("owner", "owner", None, None), ("a@b", "a", "b", None), ("a@b/c", "a", "b", "c")],
)
def test_bindings(text: str, role: str, place: str | None, function_name: str | None) -> None:
    assert parse_binding(text) == RoleBinding(role=role, project=place, function=function_name)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        *((parse_binding, text) for text in ("", "@a", "a@", "a@b/", "a/b", "A", "a@b/c/d", "a\n")),
        *((parse_principal, t) for t in ("", "ada", "user:", "user:Ada", "user:a\n", "root:a")),
        *((parse_principal, t) for t in ("function:a", "function:a/../b", "anonymous:x", "token:")),
        *((parse_action, t) for t in ("", "Function:Invoke", "function:invoke ", "*")),
        *((parse_resource, t) for t in ("", "node:", "node:a", "project:", "project:a/b", "x:a/b")),
        *((parse_resource, t) for t in ("bucket:a", "bucket:a/", "bucket:a/b/c", "bucket:a/..")),
        *((parse_resource, t) for t in ("host:a/b", "host:a/b:0", "function:a/b\n", "NODE")),
    ],
)
def test_what_is_none_is_refused(parse, text: str) -> None:
    with pytest.raises(PolicyTextError) as caught:
        parse(text)
    assert "expected" in caught.value.message
    assert caught.value.next_step


@given(st.text(max_size=40))
def test_any_text_is_one_that_reads_back_or_refused(text: str) -> None:
    for parse in (parse_principal, parse_resource):
        with contextlib.suppress(PolicyTextError):
            assert parse(text).text == text
