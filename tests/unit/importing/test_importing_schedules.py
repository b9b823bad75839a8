"""Schedules of AWS as those of a manifest."""

from __future__ import annotations

import pytest
from cronsim import CronSim

from casemate.importing.schedules import NoCounterpartError, translated


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("rate(1 minute)", {"every": "1m"}),
        ("rate(90 minutes)", {"every": "90m"}),
        ("rate(2 hours)", {"every": "2h"}),
        ("rate(7 days)", {"every": "168h"}),
        ("cron(0 10 * * ? *)", {"cron": "0 10 * * *"}),
        ("cron(15 12 ? * MON-FRI *)", {"cron": "15 12 * * MON-FRI"}),
        ("cron(0/15 8-17 ? * 2-6 *)", {"cron": "0/15 8-17 * * 1-5"}),
        ("cron(0 0 1 JAN,JUL ? *)", {"cron": "0 0 1 JAN,JUL *"}),
        ("cron(0 0 ? * 1,7 *)", {"cron": "0 0 * * 0,6"}),
        ("cron(0 0 ? * 2/2 *)", {"cron": "0 0 * * 1-6/2"}),
    ],
)
def test_each_means_the_same(there: str, here: dict[str, str]) -> None:
    assert translated(there) == here
    if "cron" in here:
        from datetime import UTC, datetime

        next(CronSim(here["cron"], datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    "there",
    [
        "at(2026-11-27T10:00:00)",
        "rate(0 minutes)",
        "rate(400 days)",
        "rate(5 seconds)",
        "cron(0 10 * * ? 2027)",
        "cron(0 10 L * ? *)",
        "cron(0 10 ? * 6#3 *)",
        "cron(0 10 15W * ? *)",
        "cron(0 10 ? * 8 *)",
        "cron(0 10 ? * 0 *)",
        "cron(0 10 * * *)",
        "",
        "${Schedule}",
        "cron(" * 1000,
        "rate(" + " " * 100_000,
    ],
)
def test_what_has_no_counterpart_is_said(there: str) -> None:
    with pytest.raises(NoCounterpartError):
        translated(there)
