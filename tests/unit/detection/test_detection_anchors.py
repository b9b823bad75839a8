"""Telling rules apart before they are tried changes nothing about which of them match."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.detection import examples, rules_of, shipped_rules
from casemate.drills.recorded import events_of

HEAD = "title: t\nname: {name}\nlevel: low\nlogsource: {{product: casemate}}\n"


def anchors(detection: str) -> dict[str, set[str]]:
    rules = rules_of((HEAD.format(name="r") + f"detection: {detection}\n", "own.yml"))
    return {each.path: set(each.texts) for each in rules.rules[0].anchors}


@pytest.mark.parametrize(
    ("detection", "expected"),
    [
        ("{s: {class_uid: 6003}, condition: s}", {"class_uid": {"6003"}}),
        ("{s: {unmapped.kind: [A, b]}, condition: s}", {"unmapped.kind": {"a", "b"}}),
        ("{s: {unmapped.kind: A}, condition: not s}", {}),
        ("{s: {unmapped.kind: A*}, condition: s}", {}),
        ("{s: {unmapped.kind: null}, condition: s}", {}),
        ("{s: {unmapped.kind|contains: A}, condition: s}", {}),
        ("{s: {unmapped.kind: A}, t: {message: x}, condition: s or t}", {}),
        (
            "{s: {unmapped.kind: A}, t: {message: x}, condition: s and not t}",
            {"unmapped.kind": {"a"}},
        ),
        (
            "{s: {unmapped.kind: A}, t: {unmapped.kind: B}, condition: 1 of them}",
            {"unmapped.kind": {"a", "b"}},
        ),
        (
            "{s: [{unmapped.kind: A}, {unmapped.kind: B}], condition: s}",
            {"unmapped.kind": {"a", "b"}},
        ),
        ("{s: [{unmapped.kind: A}, {message: B}], condition: s}", {}),
    ],
)
def test_what_must_hold_is_found(detection: str, expected: dict[str, set[str]]) -> None:
    assert anchors(detection) == expected


_VALUES = ("a", "B", "4", 4)
_FIELDS = ("unmapped.kind", "unmapped.action", "class_uid", "message")
_MAPS = st.dictionaries(
    st.sampled_from(_FIELDS), st.lists(st.sampled_from(_VALUES), min_size=1, max_size=2), min_size=1
)


def _event(flat: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in flat.items():
        first, _, second = path.partition(".")
        if second:
            found.setdefault(first, {})[second] = value
        else:
            found[first] = value
    return found


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(_MAPS, _MAPS, st.sampled_from(("s and t", "s or t", "s and not t", "not s")))
    ),
    st.lists(st.dictionaries(st.sampled_from(_FIELDS), st.sampled_from(_VALUES))),
)
def test_the_index_finds_what_trying_all_finds(
    written: list[tuple[dict[str, Any], dict[str, Any], str]], flat: list[dict[str, Any]]
) -> None:
    texts = [
        (
            HEAD.format(name=f"r{n}")
            + f"detection: {{s: {s!r}, t: {t!r}, condition: {condition}}}\n",
            "own.yml",
        )
        for n, (s, t, condition) in enumerate(written)
    ]
    rules = rules_of(*texts)
    for each in map(_event, flat):
        tried = {rule.about.name for rule in rules.rules if rule.check(each)}
        assert {rule.about.name for rule in rules.matching(each)} == tried


def test_the_shipped_rules_match_the_same_when_all_are_tried() -> None:
    rules = shipped_rules()
    for example in examples().values():
        for each in list(events_of(example["attack"]))[:3]:
            tried = {rule.about.name for rule in rules.rules if rule.check(each)}
            assert {rule.about.name for rule in rules.matching(each)} == tried
