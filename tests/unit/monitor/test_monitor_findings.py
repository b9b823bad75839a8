"""Findings are kept within bounds that no rule's flood can use up for others."""

from __future__ import annotations

from casemate.monitor.findings import KEPT_SECONDS, MAX_FINDINGS, MAX_OF_RULE, Findings
from support.monitor import found


def test_each_is_kept_once_and_the_newest_come_first() -> None:
    findings = Findings()
    assert findings.add(found(1))
    assert findings.add(found(2))
    assert not findings.add(found(1))
    assert [each.id for each in findings.newest_first()] == [found(2).id, found(1).id]
    assert findings.get(found(1).id) == found(1)
    assert findings.get("none") is None


def test_a_flood_of_one_rule_pushes_out_its_own_alone() -> None:
    findings = Findings()
    findings.add(found(0, rule="rare"))
    for n in range(1, MAX_OF_RULE + 50):
        findings.add(found(n, rule="flood"))
    assert len(findings) == MAX_OF_RULE + 1
    assert findings.get(found(0).id) is not None
    assert findings.get(found(1).id) is None
    assert findings.dropped == 49


def test_all_together_are_bounded() -> None:
    findings = Findings()
    for n in range(MAX_FINDINGS + 10):
        findings.add(found(n, rule=f"rule-{n % 100}"))
    assert len(findings) == MAX_FINDINGS
    assert findings.dropped == 10


def test_what_is_old_goes() -> None:
    findings = Findings()
    findings.add(found(1, at=1000.0))
    findings.add(found(2, at=2000.0))
    findings.expire(1500.0 + KEPT_SECONDS)
    assert [each.at for each in findings.newest_first()] == [2000.0]
    assert findings.alike(found(1).rule, found(1).entity, 1000.0) is None


def test_what_is_alike_is_known_for_an_hour() -> None:
    findings = Findings()
    one = found(1)
    findings.add(one)
    assert findings.alike(one.rule, one.entity, one.at + 3599) == one
    assert findings.alike(one.rule, one.entity, one.at + 3601) is None
    assert findings.alike("another", one.entity, one.at) is None


def test_it_goes_on_from_what_was_remembered() -> None:
    before, after = Findings(), Findings()
    for n in range(5):
        before.add(found(n))
    after.recall(before.remembered())
    assert after.remembered() == before.remembered()
