"""What `casemate incident show` offers to do about an incident."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.cli import operation_command
from casemate.cli.commands import incident
from casemate.cli.main import run as run_command
from casemate.operations.incidents import Incident, IncidentPage, IncidentSummary, ShowIncident

FOUND: Incident = ShowIncident.declared.answer


@pytest.mark.parametrize(
    ("things", "said", "unsaid"),
    [
        (("function:shop/report", "shop"), "casemate incident contain", "about no function"),
        (("shop", "calls"), "casemate restrict", "casemate incident contain"),
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


@pytest.mark.parametrize(
    ("number", "said", "unsaid"),
    [(5, "token:4", "more"), (6, "token:3, 2 more", "token:4"), (64, "60 more", "token:4")],
)
def test_a_list_says_of_an_incident_about_much_how_much(
    number: int,
    said: str,
    unsaid: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    about = tuple(f"token:{one}" for one in range(number))
    found = msgspec.convert(
        msgspec.structs.replace(FOUND, things=about), IncidentSummary, from_attributes=True
    )

    @contextmanager
    def connect() -> Iterator[Any]:
        yield SimpleNamespace(call=lambda _: IncidentPage(incidents=(found,), more=False))

    monkeypatch.setattr(operation_command, "connect", connect)
    assert run_command(["incident", "ls"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert said in shown and unsaid not in shown
