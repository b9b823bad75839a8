"""`casemate detect`: rules are listed, explained, and run over the journal of a node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_node import Node

from casemate import __version__
from casemate.api import performing
from casemate.cli import journal_pages
from casemate.cli.commands import journal
from casemate.detection import examples, shipped_rules
from casemate.drills.recorded import events_of
from casemate.operations import reading
from casemate.operations.errors import MalformedError
from casemate.operations.form import Form, form_of
from casemate.operations.journal import ListJournal
from casemate.recorder.protocol import Entry, Found, Head, Query

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
    assert "Of your rules" not in cli("detect", "test", "--rules", own).err
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


def test_there_is_a_bound_in_bytes_too(
    cli: Callable, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a million entries of 64 KB each would have waited."""
    remember(node, "passwords-sprayed")
    sizes = [len(each.event) for each in node.parts.recorder.found.entries]
    monkeypatch.setattr(journal_pages, "MAX_KEPT_BYTES", sum(sizes[:3]))
    result = cli("detect", "test", "--json")
    assert result.code == 0
    assert "Only the newest 3 events were looked at, which are all that there is room" in result.err


def test_more_entries_than_were_asked_for_are_refused(cli: Callable, node: Node) -> None:
    remember(node, "passwords-sprayed")
    assert len(node.parts.recorder.found.entries) > 2
    result = cli("journal", "search", "--limit", "2")
    assert result.code == 1 and "expected at most 2 at once" in result.err


def test_what_is_shown_together_is_bounded_in_bytes(
    cli: Callable, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(node, "passwords-sprayed")
    monkeypatch.setattr(journal, "MAX_SHOWN_BYTES", 1000)
    result = cli("journal", "search")
    assert result.code == 1 and "expected at most 1000 at once" in result.err
    assert "casemate journal export" in result.err


def test_a_journal_is_followed_page_by_page(
    cli: Callable, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three thousand entries that came at once waited in memory, and were looked for from the end.

    Those before were looked at again each second, where a kind is seldom.
    """
    heads = [Head("", "key", 10), Head("", "key", 2510)]
    asked: list[tuple[int, int | None, int]] = []
    recorder = node.parts.recorder

    async def head() -> Head:
        return heads.pop(0)

    async def find(query: Query) -> Found:
        asked.append((query.first, query.before, query.most))
        last = (query.before or 0) - 1
        return Found((Entry(index=last, id=f"boot-{last}", event=b"null"),), None)

    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    recorder.head, recorder.find = head, find  # type: ignore[method-assign]
    monkeypatch.setattr(journal.time, "sleep", stop)
    result = cli("journal", "follow", "--kind", "Denial", "--json")
    assert asked == [(10, 1010, 1000), (1010, 2010, 1000), (2010, 2510, 500)]
    shown = [json.loads(line)["id"] for line in result.out.splitlines()]
    assert shown == ["boot-1009", "boot-2009", "boot-2509"]


@pytest.mark.parametrize("bounded", [False, True])
def test_a_node_of_an_earlier_release_is_followed_by_what_it_takes(
    cli: Callable, node: Node, monkeypatch: pytest.MonkeyPatch, bounded: bool
) -> None:
    """It refuses the question from where was looked at last, which ended the command."""
    heads = [Head("", "key", 10), Head("", "key", 30)]
    recorder = node.parts.recorder

    async def head() -> Head:
        return heads.pop(0)

    async def find(query: Query) -> Found:
        assert query.first == 0, "it knows none"
        end = query.before or 0
        # Its answer goes on before what is asked for, and may have less than all at once.
        least = max(end - 8, 0) if bounded else 0
        entries = [Entry(index=n, id=f"boot-{n}", event=b"null") for n in range(end - 1, least, -2)]
        return Found(tuple(entries), least if bounded else None)

    def stop(_seconds: float) -> None:
        raise KeyboardInterrupt

    reading_query, listing = performing.read_query, form_of(ListJournal).id

    def read_query(form: Form, values: dict[str, str]) -> dict[str, Any]:
        if form.id == listing and "first" in values:
            raise MalformedError("The query has unknown parameters: first.", next_step=reading.SEE)
        return reading_query(form, values)

    monkeypatch.setattr(performing, "read_query", read_query)
    recorder.head, recorder.find = head, find  # type: ignore[method-assign]
    monkeypatch.setattr(journal.time, "sleep", stop)
    result = cli("journal", "follow", "--json")
    shown = [json.loads(line)["index"] for line in result.out.splitlines()]
    assert shown == sorted(shown) and set(shown) == {n for n in range(10, 30) if n % 2}, result.err


def test_of_what_only_later_releases_take_is_said_that_the_node_is_of_an_earlier_one(
    cli: Callable, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(form: Form, values: dict[str, str]) -> dict[str, Any]:
        raise MalformedError("The query has unknown parameters: limit.", next_step=reading.SEE)

    monkeypatch.setattr(performing, "read_query", refuse)
    said = " ".join(cli("journal", "search").err.split())
    assert f"The node is of an earlier release than this casemate {__version__}" in said
    assert f"{node.url}/api/v1/health says of which. Upgrade the node" in said
    assert "openapi.json" not in said


def test_what_was_erased_is_passed_over(cli: Callable, node: Node) -> None:
    node.parts.recorder.found = Found((Entry(index=0, id="boot-0", event=b"null"),), None)
    assert "found nothing" in cli("detect", "test").err


def test_a_wrong_rule_is_told_with_its_place(cli: Callable, home: Path) -> None:
    (home / "own.yml").write_text(OWN.replace("metadata.event_code", "message|base64"))
    result = cli("detect", "ls", "--rules", "own.yml")
    assert result.code == 1
    assert "own.yml:9 message|base64: the modifier `base64` is not matched here" in result.err
    assert cli("detect", "ls", "--rules", "gone.yml").code == 1
