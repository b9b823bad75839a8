"""`casemate detect`: rules are listed, explained, and run over the journal of a node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cli_node import Node

from casemate.detection import examples, shipped_rules
from casemate.drills.recorded import events_of
from casemate.recorder.protocol import Entry, Found

OWN = """
title: Somebody signed in
name: own-sign-in
description: Just to be told.
level: low
tags: [attack.t1078]
falsepositives: [everybody]
logsource: {product: casemate}
detection: {s: {metadata.event_code: SignedIn}, condition: s}
"""


@pytest.fixture
def own(home: Path) -> str:
    file = home / "own.yml"
    file.write_text(OWN)
    return str(file)


def remember(node: Node, *names: str) -> None:
    """Have the journal of the node hold the attacks of these rules."""
    events = [each for name in names for each in events_of(examples()[name]["attack"])]
    events.sort(key=lambda each: each["time"])
    entries = tuple(
        Entry(index=n, id=f"boot-{n}", event=msgspec.json.encode(each))
        for n, each in reversed(list(enumerate(events)))
    )
    node.parts.recorder.found = Found(entries, None)


def test_rules_are_listed_one_entry_each(cli: Callable, own: str) -> None:
    listed = json.loads(cli("detect", "ls", "--json").out)
    assert len(listed) == len(shipped_rules().told) >= 100
    assert {"id", "name", "title", "level", "tags", "falsepositives"} <= listed[0].keys()
    again = json.loads(cli("detect", "ls", "--json", "--rules", own).out)
    assert {each["name"] for each in again} - {each["name"] for each in listed} == {"own-sign-in"}


def test_the_gravest_rules_come_first(cli: Callable) -> None:
    lines = cli("detect", "ls").out.splitlines()
    assert lines[1].startswith("critical")
    assert lines[-1].startswith("informational")


def test_a_rule_is_explained_with_an_attack_and_its_twin(cli: Callable, own: str) -> None:
    told = cli("detect", "explain", "metadata-tried").out
    assert "T1552.005" in told and "critical" in told
    assert "\nfound: Denial by=function:shop/orders" in told
    assert "\nnot found: Denial" in told
    found = json.loads(cli("detect", "explain", "metadata-tried", "--json").out)
    assert found["examples"]["attack"] and found["techniques"] == ["T1552.005"]
    assert "everybody" in cli("detect", "explain", "own-sign-in", "--rules", own).out
    assert "a part of correlations" in cli("detect", "explain", "signed-in").out


def test_an_unknown_rule_is_not_found(cli: Callable) -> None:
    result = cli("detect", "explain", "other")
    assert result.code == 3 and "no rule 'other'" in result.err


def test_rules_run_over_the_journal(cli: Callable, node: Node) -> None:
    remember(node, "passwords-sprayed", "metadata-tried")
    found = json.loads(cli("detect", "test", "--json").out)
    assert {"passwords-sprayed", "metadata-tried"} <= {each["rule"] for each in found}
    assert [each["at"] for each in found] == sorted(each["at"] for each in found)
    shown = cli("detect", "test").out
    assert "passwords-sprayed" in shown and "src_endpoint.ip=203.0.113.9" in shown


def test_one_rule_is_run_alone(cli: Callable, node: Node, own: str) -> None:
    remember(node, "passwords-sprayed", "signed-in-at-night")
    [found] = json.loads(cli("detect", "test", "passwords-sprayed", "--json").out)
    assert found["rule"] == "passwords-sprayed" and found["count"] == 5
    [found] = json.loads(cli("detect", "test", "own-sign-in", "--rules", own, "--json").out)
    assert found["events"] == ["boot-1"] and found["techniques"] == ["T1078"]


def test_what_the_node_is_asked_for_is_chosen(cli: Callable, node: Node) -> None:
    cli("detect", "test", "--since", "2026-03-01T00:00+00:00", "--project", "shop")
    asked = node.parts.recorder.asked
    assert asked is not None and (asked.since, asked.project) == (1_772_323_200.0, "shop")


def test_a_bound_is_told_of(cli: Callable, node: Node) -> None:
    remember(node, "passwords-sprayed")
    result = cli("detect", "test", "--limit", "2", "--json")
    assert json.loads(result.out) == []
    assert "newest 2 events" in result.err


def test_a_node_that_tells_the_same_again_and_again_is_left(cli: Callable, node: Node) -> None:
    remember(node, "passwords-sprayed")
    node.parts.recorder.found = msgspec.structs.replace(node.parts.recorder.found, before=7)
    result = cli("detect", "test")
    assert result.code == 1
    assert "the same part of its journal again and again" in result.err


def test_what_was_erased_is_passed_over(cli: Callable, node: Node) -> None:
    node.parts.recorder.found = Found((Entry(index=0, id="boot-0", event=b"null"),), None)
    assert "found nothing" in cli("detect", "test").err


def test_a_wrong_rule_is_told_with_its_place(cli: Callable, home: Path) -> None:
    (home / "own.yml").write_text(OWN.replace("metadata.event_code", "message|base64"))
    result = cli("detect", "ls", "--rules", "own.yml")
    assert result.code == 1
    assert "own.yml:9 message|base64: the modifier `base64` is not matched here" in result.err
    assert cli("detect", "ls", "--rules", "gone.yml").code == 1
