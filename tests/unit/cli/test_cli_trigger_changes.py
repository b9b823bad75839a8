"""What a deploy tells of a trigger that changed: plain values, nothing of logins or data."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from casemate.cli.changes import changes
from casemate.cli.trigger_changes import MAX_SHOWN, PLAIN
from casemate.model.function import FunctionSpec
from casemate.model.trigger import (
    AnyTrigger,
    BucketTrigger,
    Missed,
    MqttTrigger,
    QueueTrigger,
    RepositoryTrigger,
    ScheduleTrigger,
    TopicTrigger,
)


def told(before: AnyTrigger, after: AnyTrigger) -> list[str]:
    """Return the changes as a deploy tells them."""
    specs = [FunctionSpec(name="a", handler="a:b", triggers=(each,)) for each in (before, after)]
    return [str(change) for change in changes(*specs)]


def schedule(cron: str = "", **fields: Any) -> ScheduleTrigger:
    return ScheduleTrigger(name="nightly", cron=cron, **fields)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (schedule("30 2 * * *"), schedule("5 9 * * *"), "'30 2 * * *' → '5 9 * * *'"),
        (
            schedule("30 2 * * *"),
            schedule("30 2 * * *", timezone="Europe/Berlin"),
            "'30 2 * * *' UTC → '30 2 * * *' Europe/Berlin",
        ),
        (schedule("30 2 * * *"), schedule(every=3600.0), "'30 2 * * *' UTC → every 1h"),
        (schedule(every=60.0), schedule(every=3600.0), "every 1m → every 1h"),
        (
            schedule("1 1 * * *"),
            schedule("1 1 * * *", missed=Missed.ALL),
            "missed once → all",
        ),
        (schedule(every=60.0), QueueTrigger(name="nightly", queue="jobs"),
         "schedule every 1m → queue jobs"),
    ],
)  # fmt: skip
def test_a_schedule_is_told_by_its_times(before: AnyTrigger, after: AnyTrigger, line: str) -> None:
    assert told(before, after) == [f"trigger nightly {line}"]
    assert told(after, after) == []


def test_plain_values_are_told() -> None:
    assert told(
        QueueTrigger(name="q", queue="jobs"), QueueTrigger(name="q", queue="work", window=1.5)
    ) == ["trigger q queue jobs → work", "trigger q window 0s → 1.5s"]
    assert told(
        RepositoryTrigger(name="r", provider="git", secret="a"),
        RepositoryTrigger(name="r", provider="git", secret="a", events=("push", "tag")),
    ) == ["trigger r events all → push, tag"]
    assert told(
        BucketTrigger(name="b", bucket="a", prefix="in/"), BucketTrigger(name="b", bucket="a")
    ) == ["trigger b prefix in/ removed"]


def test_a_filter_is_told_short() -> None:
    some = TopicTrigger(name="t", topic="a", filter={"kind": ("new", None)})
    assert told(TopicTrigger(name="t", topic="a"), some) == [
        'trigger t filter {"kind":["new",null]} added'
    ]
    first, other = (
        TopicTrigger(name="t", topic="a", filter={"k" * 200: (value,)}) for value in "xy"
    )
    assert told(first, other) == ["trigger t filter one → another"]
    [line] = told(some, first)
    assert len(line.partition(" → ")[2]) == MAX_SHOWN


def test_logins_and_data_are_not_told() -> None:
    names = {name for kind in get_args(AnyTrigger) for name in kind.__struct_fields__}
    hidden = {"name", "contract", "data", "exception", "user", "password", "secret"}
    assert names - PLAIN == hidden and names >= PLAIN
    assert told(schedule("1 1 * * *"), schedule("1 1 * * *", data='"a key"')) == [
        "trigger nightly data one → another"
    ]
    before, after = (
        MqttTrigger(name="m", host="a", port=1, topic="t", user=u, password=p)
        for u, p in (("ada", "one-key"), ("bob", "two-key"))
    )
    assert told(before, after) == [
        "trigger m user one → another",
        "trigger m password one → another",
    ]
