"""Who works as usual raises no alarm: days of ten applications, and every rule that is shipped."""

from __future__ import annotations

from collections import Counter

import pytest

from casemate.detection import Detector, Level, shipped_rules
from casemate.model.principal import Action
from casemate.operations.catalogue import FORMS
from support.benign_days import events, happenings

ALERTED = (Level.MEDIUM, Level.HIGH, Level.CRITICAL)


@pytest.mark.parametrize(
    ("days", "a_day"),
    [
        pytest.param(10, 1_000, id="short"),
        pytest.param(20, 10_000, id="long", marks=pytest.mark.storm),
    ],
)
def test_days_without_attacks_raise_at_most_one_alert_each(days: int, a_day: int) -> None:
    detector = Detector(shipped_rules())
    found, seen = [], 0
    for event in events(days, a_day):
        seen += 1
        found += detector.see(event, event["time"] / 1000)
    assert seen >= days * a_day
    critical = [finding for finding in found if finding.level is Level.CRITICAL]
    assert not critical
    alerts = [finding for finding in found if finding.level in ALERTED]
    assert len(alerts) <= days, Counter(finding.rule for finding in alerts)


def test_the_days_name_what_there_is() -> None:
    """Before, people read `logs:read` and deployed by `deploy`, which no rule could mistake."""
    operations, actions = ({form.id for form in FORMS}, {action.value for action in Action})
    for _, kind, fields in happenings(10, 100):
        if kind == "OperationPerformed":
            assert fields["operation"] in operations
        if kind in ("Denial", "OperationPerformed"):
            assert fields["action"] in actions | {"login"}
