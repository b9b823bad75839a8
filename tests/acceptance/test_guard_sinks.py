"""Sinks of a real node's instances: addresses through the proxy, XML, answers, and inspection."""

from __future__ import annotations

import pytest

from support.node import TestNode

pytestmark = pytest.mark.sandbox
SHARES_NODE = True

CODE = """
import urllib.request
import xml.etree.ElementTree as ET


def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=2).status
    except OSError as error:
        return type(error).__name__


def handler(event, context):
    if event["how"] == "url":
        return fetch(event["value"])
    if event["how"] == "path":
        return fetch("http://api.example.com/users/" + event["value"])
    return ET.fromstring(event["value"]).text
"""


@pytest.fixture(scope="module", autouse=True)
def deployed(node: TestNode) -> None:
    node.deploy(CODE, project="sinks")


@pytest.mark.parametrize(
    ("how", "value"),
    [
        ("url", "http://169.254.169.254/latest/"),
        ("url", "file:///etc/passwd"),
        ("path", "../admin"),
        ("xml", f'<!DOCTYPE r [<!ENTITY a "{"x" * 99}"><!ENTITY b "{"&a;" * 99}">]><r>&b;</r>'),
    ],
)
def test_hostile_data_is_stopped(node: TestNode, how: str, value: str) -> None:
    response = node.invoke({"how": how, "value": value}, function="sinks/f")
    assert response.status_code == 500
    assert node.outcome(response) == "blocked"


@pytest.mark.parametrize(("how", "value"), [("path", "4711"), ("xml", "<r>text</r>")])
def test_other_data_passes(node: TestNode, how: str, value: str) -> None:
    response = node.invoke({"how": how, "value": value}, function="sinks/f")
    assert response.status_code == 200
    assert response.json() in ("URLError", "HTTPError", "text")


def test_an_event_that_is_hostile_in_itself_reaches_no_code(node: TestNode) -> None:
    response = node.invoke(
        {"how": "xml", "value": "<r/>", "__proto__": {"a": 1}}, function="sinks/f"
    )
    assert response.status_code == 400
    assert "prototype" in response.text
    found = node.get("/denials", project="sinks")["denials"]
    assert any(d["kind"] == "injection" and "prototype" in d["reason"] for d in found)
