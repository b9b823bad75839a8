"""What `casemate incident show` offers to do about an incident."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.cli import operation_command
from casemate.cli.commands import incident
from casemate.cli.commands.findings import about
from casemate.cli.main import run as run_command
from casemate.cli.operation_command import Call
from casemate.model.errors import NotFoundError, UnavailableError
from casemate.model.playbook import PlaybookRun, Step
from casemate.operations.incidents import (
    ContainIncident,
    Incident,
    IncidentPage,
    IncidentState,
    ShowIncident,
)
from casemate.operations.playbooks import ListPlaybookRuns, PlaybookRuns

FOUND: Incident = ShowIncident.declared.answer


@pytest.mark.parametrize(
    ("things", "said", "unsaid"),
    [
        (("function:shop/report", "shop"), "casemate incident contain", "about no function"),
        (("shop", "calls"), "casemate restrict", "casemate incident contain"),
        (("project:shop", "budget:month"), "casemate budget ls", "about no function"),
        (("function:shop/report", "run:run_1"), "casemate playbook runs --state waits", "restrict"),
    ],
)
def test_only_what_is_about_functions_is_offered_to_be_contained(
    things: tuple[str, ...],
    said: str,
    unsaid: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = msgspec.structs.replace(FOUND, things=things)

    @contextmanager
    def connect() -> Iterator[Any]:
        yield SimpleNamespace(call=lambda _: found)

    monkeypatch.setattr(incident, "connect", connect)
    assert run_command(["incident", "show", found.id]) == 0
    shown = capsys.readouterr().err
    assert said in shown and unsaid not in shown


def test_a_finding_names_who_and_what_it_is_of_without_fields() -> None:
    assert about("resources.0.name=shop/pay actor.user.name=user:ada") == "shop/pay user:ada"
    assert about("unmapped.run=run_1 cloud.project_uid=shop") == "run:run_1 project:shop"
    assert about("src_endpoint.ip=192.0.2.7 odd") == "192.0.2.7 odd" and not about("")


def test_a_line_of_the_list_says_in_short_what_one_is_about() -> None:
    assert incident.in_short(()) == "-"
    assert incident.in_short(("shop", "192.0.2.1")) == "shop, 192.0.2.1"
    many = (*(f"192.0.2.{n}" for n in range(60)), "function:shop/pay")
    assert incident.in_short(many) == (
        "function:shop/pay, 192.0.2.0, 192.0.2.1, 192.0.2.2, and 57 more"
    )


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_list_is_a_table_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {"level": "critical", "state": IncidentState.FALSE_ALARM, "id": "inc_" + "0" * 16}
    owned = msgspec.structs.replace(FOUND, **wide, owner="somebody-with-a-long-name@example.com")
    page = IncidentPage(incidents=(owned, msgspec.structs.replace(owned, owner="")), more=False)

    @contextmanager
    def connect() -> Iterator[Any]:
        yield SimpleNamespace(call=lambda _: page, url="http://node")

    monkeypatch.setattr(operation_command, "connect", connect)
    shown = _Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    for name, value in (("COLUMNS", "80"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    assert run_command(["incident", "ls"]) == 0
    first, *rest = shown.getvalue().splitlines()
    assert first.split() == ["LAST", "LEVEL", "STATE", "FINDINGS", "ID"]
    assert max(map(len, rest)) <= 80
    assert sum(line.startswith("    owner somebody") for line in rest) == 1
    assert not any("owner -" in line for line in rest)


@pytest.mark.parametrize(
    ("functions", "things", "asked"),
    [
        ((), ("user:ada", "function:shop/report", "function:shop/pay"), "shop/report, shop/pay"),
        (("shop/pay",), ("function:shop/report", "function:shop/pay"), "shop/pay"),
        ((), ("user:ada",), "the functions of inc_1"),
        ((), None, "the functions of inc_1"),
    ],
)
def test_whoever_contains_is_asked_by_the_names_of_functions(
    functions: tuple[str, ...], things: tuple[str, ...] | None, asked: str
) -> None:
    def answer(_: object) -> Incident:
        if things is None:
            raise NotFoundError("There is no such incident.")
        return msgspec.structs.replace(FOUND, things=things)

    wanted = ContainIncident(id="inc_1", reason="it steals", functions=functions)
    call = Call(wanted, SimpleNamespace(call=answer))
    assert incident._which(call) == f"Put {asked} into quarantine?"


def _resolved(
    monkeypatch: pytest.MonkeyPatch, state: str, runs: tuple[PlaybookRun, ...] | None
) -> None:
    def answer(wanted: object) -> object:
        if isinstance(wanted, ShowIncident):
            return FOUND
        if isinstance(wanted, ListPlaybookRuns):
            assert wanted.state is Step.WAITS
            if runs is None:
                raise UnavailableError("The store does not answer.")
            return PlaybookRuns(runs=runs)
        return None

    @contextmanager
    def connect() -> Iterator[Any]:
        yield SimpleNamespace(call=answer)

    monkeypatch.setattr(operation_command, "connect", connect)
    assert run_command(["incident", "resolve", FOUND.id, "--as", state, "--reason", "ours"]) == 0


@pytest.mark.parametrize("state", ["resolved", "false-alarm"])
def test_who_closes_an_incident_is_told_what_of_it_still_waits(
    state: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before: a run waited for ever, to revoke the token of somebody who had done nothing."""
    run: PlaybookRun = ListPlaybookRuns.declared.answer.runs[0]
    runs = (
        msgspec.structs.replace(run, id="run_1", incident=FOUND.id, finding="f"),
        msgspec.structs.replace(run, id="run_2", incident="inc_2", finding=FOUND.finding_ids[0]),
        msgspec.structs.replace(run, id="run_3", incident="inc_3", finding="f3"),
    )
    _resolved(monkeypatch, state, runs)
    shown = capsys.readouterr()
    assert shown.out == f"{FOUND.id} is {state}.\n"
    for id in ("run_1", "run_2"):
        assert f"casemate playbook dismiss {id} --reason TEXT" in shown.err
    assert "run_3" not in shown.err


def test_what_waits_is_told_of_none_that_is_open_again_and_hides_no_closing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _resolved(monkeypatch, "open", None)
    assert capsys.readouterr().err == ""
    _resolved(monkeypatch, "resolved", None)
    shown = capsys.readouterr()
    assert shown.out == f"{FOUND.id} is resolved.\n"
    assert "casemate playbook runs --state waits" in shown.err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (("assign", FOUND.id, "ada"), {"id": FOUND.id, "owner": "ada", "outside": False}),
        (("note", FOUND.id, "seen"), {"id": FOUND.id, "text": "seen"}),
        (
            ("resolve", FOUND.id, "--reason", "mended"),
            {"id": FOUND.id, "state": "resolved", "reason": "mended"},
        ),
    ],
)
def test_what_was_said_of_an_incident_is_told_to_programs_too(
    line: tuple[str, ...],
    expected: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before: `--json` was no option of these alone."""

    @contextmanager
    def connect() -> Iterator[Any]:
        yield SimpleNamespace(call=lambda _: None)

    monkeypatch.setattr(operation_command, "connect", connect)
    assert run_command(["incident", *line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == expected
