"""Routes that take paths apart match what Starlette's own would, and compile nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.routing import Match, Route

from casemate.api.app import OPERATIONS, PREFIX
from casemate.api.path_route import PathRoute

PATHS = sorted({PREFIX + operation.path for operation in OPERATIONS})
PARTS = sorted({part for path in PATHS for part in path.split("/")})


async def endpoint(_request: Any) -> Response:
    return Response()


def both(path: str, methods: list[str]) -> tuple[PathRoute, Route]:
    return PathRoute(path, endpoint, methods), Route(path, endpoint, methods=methods)


ROUTES = [both(path, ["GET", "PUT"] if at % 2 else ["POST"]) for at, path in enumerate(PATHS)]


def matched(route: Route, path: str, method: str, kind: str = "http") -> tuple[Match, Any]:
    found, scope = route.matches({"type": kind, "path": path, "method": method, "root_path": ""})
    return found, scope.get("path_params")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
def test_each_path_leads_where_it_led(method: str) -> None:
    for asked in PATHS:
        for path in (asked, re.sub(r"{\w+}", "a b", asked), asked + "/", asked[:-1]):
            for ours, theirs in ROUTES:
                assert matched(ours, path, method) == matched(theirs, path, method)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(PARTS) | st.text(max_size=6), max_size=9).map("/".join),
    st.sampled_from(["GET", "POST"]),
)
def test_any_path_leads_where_it_led(path: str, method: str) -> None:
    # Starlette takes a line's end behind the last part for nothing; here it is no such path.
    expected = [
        (Match.NONE, None) if path.endswith("\n") and not theirs.path.endswith("}")
        else matched(theirs, path, method)
        for _, theirs in ROUTES
    ]  # fmt: skip
    assert [matched(ours, path, method) for ours, _ in ROUTES] == expected


def test_nothing_but_requests_is_led_anywhere() -> None:
    for ours, theirs in ROUTES:
        assert matched(ours, ours.path, "GET", "websocket") == (Match.NONE, None)
        assert ours.methods == theirs.methods


def test_no_expression_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(re, "compile", lambda *_: pytest.fail("an expression is compiled"))
    PathRoute(PREFIX + "/things/{name}", endpoint, ["GET"])
