"""The report of a check: keys are told to who may see which there are, and to nobody else."""

from __future__ import annotations

import dataclasses

import pytest
from api_fake_control import Client, Parts

from casemate.model.integrity import CheckFinding, CheckReport, CheckState

FINDINGS = (
    CheckFinding(place="store", problem="page 6 is not what was written"),
    CheckFinding(
        place="data/shop", problem="object 4 of bucket in: x", kind="bucket", name="in", key="a.txt"
    ),
    CheckFinding(
        place="data/shop", problem="item 7 of table users: x", kind="table", name="users", key="1"
    ),
    CheckFinding(
        place="data/bank", problem="object 5 of bucket in: x", kind="bucket", name="in", key="b.txt"
    ),
    CheckFinding(place="data/shop", problem="of a kind to come", kind="shelf", name="in", key="c"),
)


class FakeChecks:
    def report(self) -> CheckReport:
        return CheckReport(state=CheckState.DONE, findings=FINDINGS)

    start = report


@pytest.mark.parametrize(
    ("roles", "keys"),
    [
        (("owner",), ["", "a.txt", "1", "b.txt", ""]),
        (("operator",), ["", "", "", "", ""]),
        (("operator", "developer@shop"), ["", "a.txt", "1", "", ""]),
        (("operator", "developer"), ["", "a.txt", "1", "b.txt", ""]),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_keys_are_told_to_who_may_list_them(
    parts: Parts, roles: tuple[str, ...], keys: list[str], method: str
) -> None:
    parts.service = dataclasses.replace(parts.service, checks=FakeChecks())
    ask = Client(parts, parts.service.spool)
    who = parts.service.accounts.add("cm_who_x", *roles)  # type: ignore[attr-defined]
    answer = ask(method, "/check", key=who)
    assert answer.status_code in (200, 202), answer.text
    findings = answer.json()["findings"]
    assert [each["key"] for each in findings] == keys
    assert [each["problem"] for each in findings] == [each.problem for each in FINDINGS]
