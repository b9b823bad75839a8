"""Each credential that is presented is seen, whatever the request asks for, and by nothing else."""

from __future__ import annotations

import pytest
from test_front_routes import Gateway

WAYS = {
    "/invoke/t/private": "/invoke/",
    "/invoke/no/such": "/invoke/",
    "/api/v1/functions": "/api/",
    "/api/v1/health": "/api/",
    "/hooks/t/f/x": "/hooks/",
    "/": "route",
    "/nothing": "route",
    "/any/secret-of-a-caller": "route",
}


@pytest.mark.parametrize(("path", "way"), WAYS.items())
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_a_credential_is_seen(method: str, path: str, way: str) -> None:
    gateway = Gateway()
    gateway.ask(method, path, key="cm_x_y")
    assert [(seen[0], seen[2]) for seen in gateway.trigger.credentials] == [("Bearer cm_x_y", way)]


def test_without_one_nothing_is_seen() -> None:
    gateway = Gateway()
    gateway.ask("GET", "/any")
    assert gateway.trigger.credentials == []
