"""What `casemate incident show` offers to do about an incident."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from casemate.cli.commands import incident
from casemate.cli.commands.findings import about
from casemate.cli.main import run as run_command
from casemate.operations.incidents import Incident, ShowIncident

FOUND: Incident = ShowIncident.declared.answer


@pytest.mark.parametrize(
    ("things", "said", "unsaid"),
    [
        (("function:shop/report", "shop"), "casemate incident contain", "about no function"),
        (("shop", "calls"), "casemate restrict", "casemate incident contain"),
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
