"""Nodes over the API; and a node that knows too little decides nothing."""

from __future__ import annotations

import asyncio

import pytest
from api_fake_control import Client, Parts


@pytest.fixture
def begun(parts: Parts) -> Parts:
    asyncio.run(parts.service.nodes.begin())
    return parts


def test_a_node_alone_is_listed_and_not_drained(begun: Parts, ask: Client) -> None:
    (node,) = ask("GET", "/nodes").json()["nodes"]
    assert (node["state"], node["address"]) == ("up", "http://test")
    refused = ask("POST", f"/nodes/{node['name']}/drain", json={})
    assert refused.status_code == 409 and "for itself" in refused.json()["detail"]
    assert ask("DELETE", f"/nodes/{node['name']}").status_code == 409


@pytest.mark.parametrize("name", ["..", "a" * 64, "-a", "a%0Ab", "%1b[31m"])
def test_names_that_are_none_are_refused(ask: Client, name: str) -> None:
    assert ask("POST", f"/nodes/{name}/drain", json={}).status_code in (400, 404, 405)


def test_who_is_known_to_a_node_that_knows_too_little_is_told_why(
    parts: Parts, ask: Client
) -> None:
    parts.service.nodes.standing.lose("It cannot read the control store.")
    refused = ask("GET", "/functions")
    assert refused.status_code == 503 and "control store" in refused.json()["detail"]
    assert refused.headers["retry-after"]
    assert "control store" not in ask("GET", "/functions", key=None).text
    assert ask("GET", "/health", key=None).status_code == 200
