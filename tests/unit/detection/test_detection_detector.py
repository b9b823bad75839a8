"""Correlations over time and entities, findings told once, all of it in bounded memory."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.detection import Detector, Rules, detector, over, overflow, rules_of, windows
from casemate.detection.overflow import Overflow
from casemate.detection.windows import Window
from casemate.monitor.things import things_of

BASE = """
title: A part
name: {name}
logsource: {{product: casemate}}
detection: {{s: {{kind: {name}}}, condition: s}}
"""
TOGETHER = """
title: Together
name: found
level: high
tags: [attack.t1110]
correlation: {{type: {type}, rules: [{rules}], group-by: [{by}], timespan: 60s{condition}}}
"""


def rules(type: str, named: tuple[str, ...], condition: str = "", by: str = "who") -> Rules:
    text = TOGETHER.format(
        type=type,
        rules=", ".join(named),
        by=by,
        condition=f", condition: {condition}" if condition else "",
    )
    return rules_of(("---".join([*(BASE.format(name=name) for name in named), text]), "own.yml"))


def event(kind: str = "a", who: str | None = "x", **rest: Any) -> dict[str, Any]:
    uid = {"metadata": {"uid": rest.pop("uid", "u")}}
    return {"kind": kind, **uid, **({} if who is None else {"who": who}), **rest}


def times(found: Rules, *events: tuple[float, dict[str, Any]], quiet: float = 0.0) -> list[float]:
    seeing = Detector(found, quiet=quiet)
    return [at for at, each in events if seeing.see(each, at)]


def test_events_are_counted_within_the_time() -> None:
    counting = rules("event_count", ("a",), "{gte: 3}")
    assert times(counting, *((n * 10, event()) for n in range(3))) == [20]
    assert times(counting, *((n * 31, event()) for n in range(6))) == []
    assert times(counting, *((n * 10, event()) for n in range(7))) == [20, 50]


def test_each_entity_is_counted_by_itself() -> None:
    counting = rules("event_count", ("a",), "{gte: 3}")
    assert times(counting, *((n, event(who="xyz"[n % 3])) for n in range(6))) == []
    assert times(counting, *((n, event(who="xyz"[n % 3])) for n in range(9))) == [6, 7, 8]


def test_an_event_that_stands_for_several_counts_so_often() -> None:
    counting = rules("event_count", ("a",), "{gte: 1000}")
    [found] = Detector(counting).see(event(count=1200, uid="boot-1"), 5.0)
    assert (found.count, found.events, found.entity) == (1200, ("boot-1",), "who=x")
    assert (found.rule, found.techniques, found.at) == ("found", ("T1110",), 5.0)
    assert times(counting, (0, event(count=999))) == []
    assert times(counting, (0, event(count=-5)), (1, event(count="1000"))) == []


def test_an_event_without_the_field_of_the_group_is_not_counted() -> None:
    counting = rules("event_count", ("a",), "{gte: 2}")
    assert times(counting, *((n, event(who=None)) for n in range(5))) == []
    assert times(counting, *((n, event(who=[])) for n in range(5))) == []


def test_without_a_group_all_are_one() -> None:
    counting = rules("event_count", ("a",), "{gte: 2}", by="")
    assert times(counting, (0, event(who="x")), (1, event(who="y"))) == [1]


def test_different_values_are_counted() -> None:
    counting = rules("value_count", ("a",), "{gte: 3, field: host}")
    assert times(counting, *((n, event(host="h")) for n in range(9))) == []
    assert times(counting, *((n, event(host=f"h{n % 3}")) for n in range(3))) == [2]
    assert times(counting, *((n, event(host=f"h{n % 2}")) for n in range(9))) == []
    assert times(counting, *((n * 40, event(host=f"h{n}")) for n in range(9))) == []
    assert times(counting, *((n, event()) for n in range(9))) == []


def test_all_rules_are_needed_together() -> None:
    together = rules("temporal", ("a", "b"))
    assert times(together, (0, event("a")), (59, event("b"))) == [59]
    assert times(together, (0, event("b")), (59, event("a"))) == [59]
    assert times(together, (0, event("a")), (61, event("b"))) == []
    assert times(together, (0, event("a")), (1, event("a")), (2, event("a"))) == []
    assert times(together, (0, event("a", "x")), (1, event("b", "y"))) == []


def test_one_rule_is_needed_before_the_other() -> None:
    ordered = rules("temporal_ordered", ("a", "b"))
    assert times(ordered, (0, event("a")), (59, event("b"))) == [59]
    assert times(ordered, (0, event("b")), (59, event("a"))) == []
    assert times(ordered, (0, event("b")), (9, event("a")), (10, event("b"))) == [10]
    assert times(ordered, (0, event("a")), (61, event("b"))) == []
    assert times(ordered, (0, event("a", "x")), (1, event("b", "y"))) == []
    assert times(ordered, (0, event("a")), (1, event("b")), (2, event("b"))) == [1]


def test_an_order_goes_by_when_it_was_and_not_by_when_it_was_told() -> None:
    """Another node's events can be told late."""
    ordered = rules("temporal_ordered", ("a", "b"))
    assert times(ordered, (9, event("b")), (8, event("a"))) == [8]
    assert times(ordered, (9, event("a")), (8, event("b")), (10, event("b"))) == [10]


def test_an_event_that_several_rules_match_is_one_event() -> None:
    text = BASE.format(name="a") + "---" + BASE.format(name="b").replace("kind: b", "kind: a")
    text += "---" + TOGETHER.format(
        type="event_count", rules="a, b", by="who", condition=", condition: {gte: 2}"
    )
    assert times(rules_of((text, "own.yml")), (0, event()), (1, event())) == [1]


def test_a_correlation_looks_at_another() -> None:
    text = "---".join(
        [
            BASE.format(name="a"),
            BASE.format(name="b"),
            TOGETHER.format(type="temporal", rules="many, b", by="who", condition=""),
            TOGETHER.format(
                type="event_count", rules="a", by="who", condition=", condition: {gte: 2}"
            ).replace("name: found", "name: many"),
        ]
    )
    chained = rules_of((text, "own.yml"))
    assert chained.told == {"found"}
    assert times(chained, (0, event("a")), (1, event("b"))) == []
    assert times(chained, (0, event("a")), (1, event("a")), (2, event("b"))) == [2]


def test_a_finding_is_told_once_for_each_entity_and_counts_what_came_between() -> None:
    alone = rules_of((BASE.format(name="a") + "level: low\nfields: [who]\n", "own.yml"))
    seeing = Detector(alone, quiet=100.0)
    told = [(at, seeing.see(event(who=who), at)) for at in range(0, 300, 10) for who in "xy"]
    counts = [(at, found[0].entity, found[0].count) for at, found in told if found]
    assert counts == [
        (at, f"who={who}", n) for at, n in ((0, 1), (100, 10), (200, 10)) for who in "xy"
    ]


def test_a_clock_that_jumps_neither_fires_nor_silences() -> None:
    counting = rules("event_count", ("a",), "{gte: 3}")
    far = 1e12
    assert times(counting, (0, event()), (far, event()), (far + 1, event())) == []
    back = ((far, event()), (far, event()), (5, event()), (6, event()), (7, event()))
    assert times(counting, *back) == [7]
    assert times(counting, *back, quiet=3600.0) == [7]


def test_memory_is_bounded_and_what_is_forgotten_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(windows, "MAX_ENTITIES", 10)
    monkeypatch.setattr(windows, "MAX_KEPT", 15)
    monkeypatch.setattr(overflow, "BUCKETS", 1)
    seeing = Detector(rules("event_count", ("a",), "{gte: 4}"))
    for n in range(50):
        seeing.see(event(who=f"w{n}"), n / 100)
    assert seeing.forgotten == 40 - overflow.WAYS
    for n in range(30):
        seeing.see(event(who=f"w{40 + n % 10}"), 1 + n / 100)
    assert seeing.forgotten > 40 - overflow.WAYS
    for n in range(50):
        seeing.see(event(who=f"late{n}"), 1000 + n / 100)
    assert seeing.forgotten < 90, "whose time is over is not missed"


def test_what_came_since_is_counted_with_its_last_time_and_remembered() -> None:
    alone = rules_of((BASE.format(name="a") + "level: low\nfields: [who]\n", "own.yml"))
    seeing = Detector(alone)
    [found] = seeing.see(event(who="w"), 0)
    assert seeing.since("a", found.entity) == (0, 0.0)
    for n in range(1, 4):
        seeing.see(event(who="w", count=10), n)
    seeing.see(event(who="other"), 9)
    after = Detector(alone)
    after.recall(seeing.remembered())
    for each in (seeing, after):
        assert each.since("a", found.entity) == (30, 3)
        assert each.since_by_rule() == {"a": (30, 3)}
    of_before = msgspec.structs.replace(seeing.remembered(), latest=[])
    after.recall(of_before)
    assert after.since("a", found.entity) == (30, 0), "an earlier release kept no last time"


def test_findings_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detector, "MAX_TOLD", 10)
    alone = rules_of((BASE.format(name="a") + "level: low\nfields: [who]\n", "own.yml"))
    seeing = Detector(alone)
    assert all(seeing.see(event(who=f"w{n}"), 0) for n in range(20))
    assert seeing.forgotten == 10


def test_a_large_count_forgets_what_is_too_long_ago() -> None:
    counting = rules("event_count", ("a",), "{gte: 100}")
    assert times(counting, *((n * 0.6, event()) for n in range(99))) == []
    slow = times(counting, *((n * 0.7, event()) for n in range(400)))
    assert slow == []
    fast = times(counting, *((n * 0.5, event()) for n in range(100)))
    assert fast == [49.5]


def test_a_large_count_needs_few_entries() -> None:
    seeing = Detector(rules("event_count", ("a",), "{gte: 100000}"))
    found = [seeing.see(event(count=200), n / 100) for n in range(500)]
    assert [len(each) for each in found] == [0] * 499 + [1]
    assert 1 < len(found[-1][0].events) <= detector.MAX_IDS


_SEEN = st.lists(
    st.tuples(st.floats(0, 400, allow_nan=False), st.sampled_from("ab"), st.sampled_from("xy")),
    max_size=40,
)


@given(_SEEN, st.integers(1, 5))
def test_counting_is_what_a_plain_count_says(
    seen: list[tuple[float, str, str]], least: int
) -> None:
    found = rules("event_count", ("a",), f"{{gte: {least}}}")
    expected, kept = [], dict[str, list[float]]()
    for at, kind, who in sorted(seen):
        if kind != "a":
            continue
        kept[who] = [then for then in kept.get(who, []) if at - then <= 60] + [at]
        if len(kept[who]) >= least:
            expected.append(at)
            kept[who] = []
    assert times(found, *((at, event(kind, who)) for at, kind, who in sorted(seen))) == expected


def test_events_of_the_past_have_their_own_times() -> None:
    counting = rules("event_count", ("a",), "{gte: 2}")
    slow = [event(time=n * 100_000) for n in range(4)]
    fast = [event(time=n * 1000) for n in range(2)]
    assert over(slow, counting) == []
    assert [one.at for one in over(fast, counting)] == [1.0]
    assert over([event(time="soon")], counting) == []


def test_of_the_past_the_last_of_each_counts_all_that_came_after() -> None:
    alone = rules_of((BASE.format(name="a") + "level: low\nfields: [who]\n", "own.yml"))
    seeing = Detector(alone)
    happened = [(0, "x"), (1, "y"), (2, "x"), (4000, "x"), (4001, "x"), (4002, "x")]
    found = seeing.see_all([{**event(who=who), "time": at * 1000} for at, who in happened])
    counted = [(each.entity, each.count) for each in seeing.with_since(found)]
    assert counted == [("who=x", 1), ("who=y", 1), ("who=x", 4)]


def test_a_text_that_was_sent_names_no_other_in_what_a_finding_is_about() -> None:
    """Who is named in it joins an incident, whose functions a person may have contained."""
    text = """
title: t
id: 0957da59-af6b-5392-952c-c5a29a08c011
name: own
logsource: {product: casemate}
detection:
  selection: {metadata.event_code: Own}
  condition: selection
fields: [unmapped.sent]
level: high
"""
    sent = "x resources.0.name=shop/victim\tactor.user.name=user:ada\u2003a=token:1"
    event = {"metadata": {"event_code": "Own"}, "unmapped": {"sent": sent}, "time": 1000}
    [found] = over([event], rules_of((text.encode(), "own.yml")))
    assert found.entity.split() == [found.entity]
    assert things_of(found.entity) == [found.entity.partition("=")[2]]


def test_a_flood_of_others_makes_nobody_forgotten_who_was_seen_twice() -> None:
    detector = Detector(rules("event_count", ("a",), "{gte: 12}"))
    found = detector.see(event(who="ada"), 0.0)
    for n in range(11):
        found += detector.see(event(who="ada"), n + 1.0)
        for other in range(3 * windows.MAX_ENTITIES // 2):
            assert not detector.see(event(who=f"other{n}-{other}"), n + 1.0)
    assert [each.entity for each in found] == ["who=ada"]


def test_those_seen_twice_leave_room_for_others_and_go_when_their_time_is_over() -> None:
    rest = Overflow()
    window = Window(rules("event_count", ("a",), "{gte: 12}").correlations[0], rest)

    def seen(name: str, at: float) -> None:
        assert window.see("a", event(who=name), at, 1, "") is None

    def names() -> set[str]:
        return {entity[0] for entity, _ in window.remembered()}

    for n in range(2 * windows.MAX_ENTITIES):
        seen(f"twice{n}", 1.0)
        seen(f"twice{n}", 1.0)
    once, later = ({f"{name}{n}" for n in range(300)} for name in ("once", "later"))
    for name in once:
        seen(name, 2.0)
    assert once < names()
    assert len(names()) <= windows.MAX_ENTITIES
    forgotten = rest.forgotten
    for n in range(windows.MAX_ENTITIES):
        seen(f"later{n}", 1000.0)
    assert rest.forgotten == forgotten, "whose time is over is not missed"
    assert later < names()
    assert not once & names()


FLOODED = {
    "event_count": (("a",), "{gte: 2}", [event(uid="1"), event(uid="2")]),
    "event_count of folded": (("a",), "{gte: 200}", [event(count=120), event(count=90)]),
    "value_count": (("a",), "{gte: 2, field: of}", [event(of="1"), event(of="2")]),
    "temporal": (("a", "b"), "", [event("a"), event("b")]),
    "temporal_ordered": (("a", "b"), "", [event("a"), event("b")]),
}


@pytest.mark.parametrize("form", FLOODED)
def test_a_flood_between_two_steps_makes_nobody_forgotten(form: str) -> None:
    named, condition, (first, second) = FLOODED[form]
    detector = Detector(rules(form.split(maxsplit=1)[0], named, condition))
    assert not detector.see(first, 0.0)
    for n in range(20 * windows.MAX_ENTITIES):
        assert not detector.see(event(who=f"other{n}", of="1"), 1.0 + n / 10_000)
    [found] = detector.see(second, 20.0)
    assert (found.entity, detector.forgotten) == ("who=x", 0)
    assert not Detector(rules(form.split(maxsplit=1)[0], named, condition)).see(second, 20.0)


def test_a_flood_between_two_steps_counts_nothing_twice() -> None:
    detector = Detector(rules("value_count", ("a",), "{gte: 3, field: of}"))
    for round in range(4):
        assert not detector.see(event(of="1"), 10.0 * round)
        for n in range(2 * windows.MAX_ENTITIES):
            assert not detector.see(event(who=f"{round}-{n}", of="1"), 10.0 * round + 1)
    assert not detector.see(event(of="2"), 41.0)
    assert not detector.see(event(of="1"), 42.0)
    assert detector.see(event(of="3"), 43.0)


@pytest.mark.parametrize(
    ("type", "named"),
    [("event_count", ("a",)), ("temporal", ("a", "b")), ("temporal_ordered", ("a", "b"))],
)
def test_where_windows_have_no_room_the_same_is_found(
    type: str, named: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But what is counted of an entity is as old as the oldest of it."""
    draw = random.Random(3)
    found = rules(type, named, "" if len(named) > 1 else "{gte: 2}")
    seen = [
        (n / 2, event(draw.choice("ab"), who=f"w{draw.randrange(60)}", uid=str(n)))
        for n in range(2000)
    ]
    expected = times(found, *seen)
    monkeypatch.setattr(windows, "MAX_ENTITIES", 3)
    assert times(found, *seen) == expected
    assert len(expected) > 100
