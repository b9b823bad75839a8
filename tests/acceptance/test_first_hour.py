"""Whoever is alone makes no incident by approving what was refused, nor by tidying up."""

from __future__ import annotations

from support.node import TestNode

HANDLER = "def handler(event, context):\n    return event\n"


def rules(node: TestNode) -> set[str]:
    """Return which rules have found something of approvals."""
    found = {one["rule"] for one in node.get("/findings")["findings"]}
    return {one for one in found if one.startswith("refused-then-approved")}


def refused_then_approved(node: TestNode, name: str) -> None:
    """Deploy what wants a bucket, as the tutorial does it."""
    wanted = {
        "grants": 'buckets = [{name = "b", actions = ["read"]}]',
        "resources": "[bucket.b]",
        "name": name,
    }
    node.deploy(HANDLER, **wanted, expect=409)
    node.deploy(HANDLER, **wanted, approve=True)


def removed(node: TestNode) -> set[str]:
    """Return which rules have found that a function was there and gone."""
    found = {one["rule"] for one in node.get("/findings")["findings"]}
    return {one for one in found if one.startswith("function-there-and-gone")}


def tried_and_tidied_up(node: TestNode, name: str) -> None:
    """Deploy and remove a function, as the first tutorial does it."""
    node.deploy(HANDLER, name=name)
    assert node.client.delete(f"{node.url}/api/v1/functions/t/{name}").is_success


def test_one_person_has_a_note_and_several_have_an_incident(node: TestNode) -> None:
    """Before: an incident in everybody's first hour, and one at the end of the tutorial."""
    refused_then_approved(node, "one")
    tried_and_tidied_up(node, "three")
    node.wait_until(lambda: rules(node) == {"refused-then-approved-alone"}, 30)
    node.wait_until(lambda: removed(node) == {"function-there-and-gone-alone"}, 30)
    assert node.get("/incidents")["incidents"] == []
    body = {"name": "bob", "roles": ["operator@t"]}
    assert node.client.post(f"{node.url}/api/v1/users", json=body).status_code == 201
    refused_then_approved(node, "two")
    tried_and_tidied_up(node, "four")
    node.wait_until(lambda: "refused-then-approved" in rules(node), 30)
    node.wait_until(lambda: "function-there-and-gone" in removed(node), 30)
    node.wait_until(lambda: node.get("/incidents")["incidents"] != [], 30)
