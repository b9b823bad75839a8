"""The pages on detection name what there is: modifiers, bounds, and how many rules."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec

from casemate.detection import (
    CorrelationType,
    detector,
    documents,
    over,
    reading,
    rules,
    rules_of,
    selections,
    shipped_rules,
    values,
    windows,
    with_own,
)
from casemate.model.facts import InvocationEnded
from casemate.model.invocation import Outcome
from casemate.recorder import ocsf

_ROOT = Path(__file__).parents[3]
REFERENCE = (_ROOT / "docs/reference/detection.md").read_text()
EXPLANATION = (_ROOT / "docs/explanation/detection.md").read_text()


def _cells(after: str) -> set[str]:
    """Return what stands in code in the first column of the table below a line."""
    table = REFERENCE.split(after, 1)[1].split("\n\n", 1)[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w[\w-]*)`", row)}


def test_the_modifiers_are_all_there() -> None:
    assert _cells("| modifier | meaning |\n") == selections._KNOWN


def test_the_keys_are_all_there() -> None:
    assert _cells("## A rule\n\n") == reading._OF_RULE
    correlation = REFERENCE.split("## A correlation")[1]
    for name in (*reading._IN_CORRELATION, *CorrelationType):
        assert f"`{name}`" in correlation


def test_the_example_is_read() -> None:
    [example] = re.findall(r"```yaml\n(title: A token.*?)```", REFERENCE, re.DOTALL)
    token = {
        "metadata": {"event_code": "OperationPerformed"},
        "actor": {"user": {"name": "token:ci"}},
    }
    away = over([{**token, "src_endpoint": {"ip": "203.0.113.1"}}], rules_of((example, "own.yml")))
    office = over([{**token, "src_endpoint": {"ip": "192.0.2.1"}}], rules_of((example, "own.yml")))
    assert [one.entity for one in away] == ["actor.user.name=token:ci"]
    assert office == []


def test_the_rule_of_a_function_that_fails_finds_what_is_recorded() -> None:
    page = (_ROOT / "docs/howto/get-alerts.md").read_text()
    [example] = re.findall(r"```yaml\n(title: The worker.*?)```", page, re.DOTALL)

    def ended(function: str, outcome: str) -> dict[str, Any]:
        fact = InvocationEnded(
            at=1.0, project="shop", function=function, version=1, outcome=outcome
        )
        found: dict[str, Any] = msgspec.json.decode(ocsf.event(fact, 1, "abc-1"))
        return found

    [outcomes] = re.findall(r"unmapped.outcome: \[(.*)\]", example)
    assert {Outcome(each) for each in outcomes.split(", ")}
    for outcome in Outcome:
        told = over([ended("worker", outcome.value)], rules_of((example, "own.yml")))
        assert bool(told) is (outcome.value in outcomes.split(", "))
    assert over([ended("cart", "handler-error")], rules_of((example, "own.yml"))) == []


def test_the_filter_of_the_page_leaves_out_shipped_rules() -> None:
    [example] = re.findall(r"```yaml\n(title: The scanner.*?)```", REFERENCE, re.DOTALL)
    assert with_own((example.encode(), "own.yml")).told == shipped_rules().told


def test_bounds_and_numbers_are_those_of_the_code() -> None:
    told = f"{len(shipped_rules().told)} rules"
    assert told in EXPLANATION
    changes = (_ROOT / "CHANGELOG.md").read_text()
    assert f"Sigma: {len(shipped_rules().told)} shipped rules" in changes
    for text in (
        f"{documents.MAX_BYTES >> 20} MiB, {documents.MAX_DOCUMENTS} documents, "
        f"{documents.MAX_VALUES:,} values, {documents.MAX_DEPTH} deep, "
        f"{documents.MAX_TEXT} characters",
        f"| {rules.MAX_RULES}, of which {rules.MAX_CORRELATIONS} |",
        f"| {reading.MAX_EXPRESSIONS} of one file, {values.MAX_EXPRESSION} characters each",
        f"| {values.MAX_TEXT} characters",
        f"| {windows.MAX_ENTITIES} entities, {windows.MAX_KEPT} events or values; of one entity "
        f"at most {reading.MAX_DIFFERENT}, and counts above {windows.SLICES} by parts",
        f"| {detector.MAX_TOLD} |",
        f"at most {detector.MAX_IDS} of them",
    ):
        assert text in EXPLANATION, text
