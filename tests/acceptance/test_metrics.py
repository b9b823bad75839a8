"""The numbers of a real node: counted from the first call, for owners alone."""

from __future__ import annotations

import json
import time

import httpx2
import pytest
from prometheus_client.openmetrics import parser as open_parser
from prometheus_client.parser import text_string_to_metric_families

from support.attacks import AUTHENTICATION, AUTHORIZATION, denials
from support.cli import casemate
from support.node import TestNode

SHARES_NODE = True
PROJECT = "measured"
pytestmark = pytest.mark.sandbox
HANDLER = """
def handler(event, context):
    context.metric("orders", event["orders"], "pc")
    if event["orders"] < 0:
        raise ValueError("no")
    context.log.info("two words")
    return event
"""


@pytest.fixture(scope="module", autouse=True)
def called(node: TestNode) -> None:
    node.deploy(HANDLER, project=PROJECT)
    for orders in (1, 2, 3, -4):
        node.invoke({"orders": orders}, function=f"{PROJECT}/f")


def page(node: TestNode, **rest: object) -> httpx2.Response:
    return node.client.get(f"{node.url}/metrics", **rest)  # type: ignore[arg-type]


def values(text: str) -> dict[str, float]:
    """Return the numbers of the function and the node by name, with other labels behind."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            others = {k: v for k, v in sample.labels.items() if k not in ("project", "function")}
            if sample.labels.get("project", PROJECT) == PROJECT:
                found[f"{sample.name} {' '.join(others.values())}".strip()] = sample.value
    return found


def test_calls_and_measurements_are_there(node: TestNode) -> None:
    answer = page(node)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = values(answer.text)
    assert found["casemate_invocations_total ok"] == 3
    assert found["casemate_invocations_total handler-error"] == 1
    assert found["casemate_run_seconds_count"] == 4
    assert found["casemate_queue_wait_seconds_count"] == 4
    assert found["casemate_cold_starts_total"] >= 0
    assert found["casemate_log_lines_total"] >= 3
    assert found["casemate_custom_measurements_total orders pc"] == 4
    assert found["casemate_custom_added orders pc"] == 2
    assert found["casemate_custom_min orders pc"] == -4
    assert found["casemate_custom_max orders pc"] == 3
    assert found["casemate_part_well vault"] == 1
    assert found["casemate_recording_stopped"] == 0
    assert found["casemate_process_starts_total recorder"] >= 1
    assert found["casemate_journal_entries"] > 0


def test_openmetrics_is_given_to_those_who_ask(node: TestNode) -> None:
    answer = page(node, headers={"accept": "application/openmetrics-text;version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {f.name for f in open_parser.text_string_to_metric_families(answer.text)}
    assert {"casemate_invocations", "casemate_run_seconds", "casemate_build_info"} <= families


def test_nobody_else_is_told_anything(node: TestNode) -> None:
    since = time.time()
    with httpx2.Client() as client:
        answer = client.get(f"{node.url}/metrics")
        assert answer.status_code == 401
        assert "casemate_" not in answer.text
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert denials(node, kind=AUTHENTICATION, since=since)
    for role in ("developer", "operator", "auditor", "invoker", f"owner@{PROJECT}"):
        made = casemate(node, "tokens", "add", f"for-{role.replace('@', '-')}", "--role", role)
        key = made.stdout.strip().splitlines()[-1]
        answer = page(node, headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 403, role
        assert "casemate_" not in answer.text
    found = denials(node, kind=AUTHORIZATION, since=since)
    assert sum(denial["action"] == "metrics:read" for denial in found) >= 5


def test_names_that_are_not_there_make_no_numbers(node: TestNode) -> None:
    before = page(node).text
    for number in range(30):
        node.invoke({}, function=f"nowhere/guess-{number}")
    after = page(node).text
    assert "guess-" not in after
    assert abs(len(after.splitlines()) - len(before.splitlines())) < 10


def test_the_command_line_shows_the_same(node: TestNode) -> None:
    told = json.loads(casemate(node, "metrics", f"{PROJECT}/f", "--json").stdout)
    (one,) = told["functions"]
    assert one["outcomes"] == {"ok": 3, "handler-error": 1}
    assert one["own"]["orders"] == {
        "count": 4,
        "sum": 2.0,
        "least": -4.0,
        "most": 3.0,
        "unit": "pc",
    }
    looked = json.loads(casemate(node, "top", "--once", "--json").stdout)
    assert PROJECT in [rate["project"] for rate in looked["functions"]]


def test_head_and_other_methods(node: TestNode) -> None:
    assert node.client.head(f"{node.url}/metrics").status_code == 200
    assert node.client.post(f"{node.url}/metrics").status_code == 405
