"""Logs by time, level, text and version, over the API and by the command line."""

from __future__ import annotations

import json
import os
import time

from support import forked_cli
from support.node import TestNode

SHARES_NODE = True
HANDLER = """
import logging

def handler(event, context):
    print("plain", VERSION)
    logging.getLogger().warning("Disk almost full %d", VERSION)
    context.log.error("gave up", version=VERSION)
    return VERSION
"""


def logs(node: TestNode, *options: str) -> list[dict[str, object]]:
    env = {**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
    done = forked_cli.run(["logs", "t/spoken", *options, "--json"], env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    lines: list[dict[str, object]] = json.loads(done.stdout)["lines"]
    return lines


def test_which_lines_are_shown(node: TestNode) -> None:
    begun = time.time()
    for version in (1, 2):
        node.deploy(f"VERSION = {version}\n{HANDLER}", name="spoken")
        assert node.invoke({}, function="t/spoken").json() == version
    assert len(logs(node)) == 6
    assert {line["level"] for line in logs(node, "--level", "warning")} == {"warning", "error"}
    found = logs(node, "--search", "disk ALMOST", "--version", "2")
    assert [line["text"] for line in found] == ["Disk almost full 2"]
    [found_by_field] = logs(node, "--field", "version=2")
    assert found_by_field["text"] == 'gave up {"version": 2}'
    assert len(logs(node, "--since", "10m")) == 6
    past, later = f"{begun - 1:.3f}", f"{time.time() + 60:.3f}"
    for since, count in ((past, 6), (later, 0)):
        query = {"project": "t", "function": "spoken", "since": since}
        answer = node.client.get(f"{node.url}/api/v1/logs", params=query)
        assert len(answer.text.splitlines()) == count
    assert node.client.get(f"{node.url}/api/v1/logs?level=loud").status_code == 400


def test_a_followed_log_shows_what_is_wanted_alone(node: TestNode) -> None:
    node.deploy(f"VERSION = 1\n{HANDLER}", name="spoken")
    query = {"project": "t", "function": "spoken", "follow": "true", "level": "error"}
    with node.client.stream("GET", f"{node.url}/api/v1/logs", params=query, timeout=30) as answer:
        lines = (line for line in answer.iter_lines() if line)
        node.invoke({}, function="t/spoken")
        node.invoke({}, function="t/spoken")
        seen = [json.loads(next(lines)) for _ in range(2)]
    assert {line["level"] for line in seen} == {"error"}
