"""Refused calls stand among the errors of a node under what they were refused for."""

from __future__ import annotations

from support.node import TestNode

SHARES_NODE = True
MANIFEST = """\
[project]
name = "named"
[function.f]
handler = "app:handler"
contract = "order.json"
"""
SOURCE = "def handler(event, context):\n    return event\n"
CONTRACT = (
    '{"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": false}'
)


def test_what_was_refused_is_told_by_why(node: TestNode) -> None:
    node.deploy_project(MANIFEST, SOURCE, files={"order.json": CONTRACT})
    calls = f"{node.url}/invoke/named/f"
    key = {"authorization": f"Bearer {node.key}", "content-type": "application/json"}
    asked = {
        "NotAuthenticated": node.client.post(
            calls, content=b"{}", headers={**key, "authorization": "Bearer cm_wrong"}
        ),
        "ContractBroken": node.client.post(calls, content=b'{"n":"x"}', headers=key),
        "NotJson": node.client.post(
            calls, content=b"a", headers={**key, "content-type": "text/plain"}
        ),
        "InvalidRequest": node.client.post(calls, content=b"{", headers=key),
    }
    for name, answer in asked.items():
        assert 400 <= answer.status_code < 500 and "error_id" in answer.text, (name, answer.text)
        error = node.get(f"/errors/{answer.json()['error_id']}")
        assert error["type"] == name, (name, error)
    groups = node.get("/error-groups", project="named")["groups"]
    assert {group["type"] for group in groups} == set(asked)
