"""Each modifier of the subset, and what is refused; wildcards against an oracle."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.detection import Rules, over, rules_of
from casemate.detection.errors import RuleError
from casemate.detection.reading import read_rules

HEAD = "title: t\nname: r\nlevel: low\nlogsource: {product: casemate}\n"


def rules(selection: str, condition: str = "s") -> Rules:
    return rules_of((f"{HEAD}detection:\n  s: {selection}\n  condition: {condition}\n", "own.yml"))


def matches(selection: str, event: dict[str, Any]) -> bool:
    return bool(over([event], rules(selection)))


@pytest.mark.parametrize(
    ("selection", "event", "expected"),
    [
        ("{a: x}", {"a": "X"}, True),
        ("{a: x}", {"a": "xy"}, False),
        ("{a|cased: x}", {"a": "X"}, False),
        ("{a|cased: x}", {"a": "x"}, True),
        ("{a: [x, y]}", {"a": "y"}, True),
        ("{a: x, b: y}", {"a": "x"}, False),
        ("{a: x, b: y}", {"a": "x", "b": "y"}, True),
        ("[{a: x}, {b: y}]", {"b": "y"}, True),
        ("{a: 4}", {"a": 4}, True),
        ("{a: 4}", {"a": 4.0}, True),
        ("{a: 4}", {"a": "4"}, True),
        ("{a: true}", {"a": True}, True),
        ("{a: true}", {"a": False}, False),
        ("{a: 1}", {"a": True}, False),
        ("{a: null}", {}, True),
        ("{a: null}", {"a": ""}, False),
        ("{a: ''}", {"a": ""}, True),
        ("{a: x*}", {"a": "xyz"}, True),
        ("{a: x*z}", {"a": "xz"}, True),
        ("{a: 'x\\*'}", {"a": "xyz"}, False),
        ("{a: 'x\\*'}", {"a": "x*"}, True),
        ("{a: 'x\\?'}", {"a": "x?"}, True),
        ("{a: 'c:\\d'}", {"a": "c:\\d"}, True),
        ("{a|contains: yz}", {"a": "xYZa"}, True),
        ("{a|contains: yz}", {"a": "xy"}, False),
        ("{a|contains|cased: yz}", {"a": "xYZa"}, False),
        ("{a|contains: [p, yz]}", {"a": "xyza"}, True),
        ("{a|contains|all: [x, z]}", {"a": "xyz"}, True),
        ("{a|contains|all: [x, q]}", {"a": "xyz"}, False),
        ("{a|startswith: xy}", {"a": "xyz"}, True),
        ("{a|startswith: yz}", {"a": "xyz"}, False),
        ("{a|startswith: x*z}", {"a": "xyzq"}, True),
        ("{a|endswith: yz}", {"a": "xyz"}, True),
        ("{a|endswith: xy}", {"a": "xyz"}, False),
        ("{a|re: '^x[0-9]+$'}", {"a": "x42"}, True),
        ("{a|re: '^x[0-9]+$'}", {"a": "X42"}, False),
        ("{a|re|i: '^x[0-9]+$'}", {"a": "X42"}, True),
        ("{a|re: '.'}", {"a": {}}, False),
        ("{a|cidr: 192.0.2.0/24}", {"a": "192.0.2.9"}, True),
        ("{a|cidr: 192.0.2.0/24}", {"a": "192.0.3.9"}, False),
        ("{a|cidr: ['10.0.0.0/8', '2001:db8::/32']}", {"a": "2001:db8::9"}, True),
        ("{a|cidr: 192.0.2.0/24}", {"a": "others"}, False),
        ("{a|gt: 4}", {"a": 5}, True),
        ("{a|gt: 4}", {"a": 4}, False),
        ("{a|gte: 4}", {"a": 4}, True),
        ("{a|lt: 4.5}", {"a": 4}, True),
        ("{a|lte: 4}", {"a": "3"}, False),
        ("{a|lte: 4}", {"a": True}, False),
        ("{a|exists: true}", {"a": 0}, True),
        ("{a|exists: true}", {"a": None}, False),
        ("{a|exists: false}", {}, True),
        ("{a|fieldref: b}", {"a": "x", "b": "X"}, True),
        ("{a|fieldref|cased: b}", {"a": "x", "b": "X"}, False),
        ("{a|fieldref: b}", {}, False),
        ("{a|hour: 2}", {"a": 1_772_416_800_000}, True),
        ("{a|hour: [3, 4]}", {"a": 1_772_416_800_000}, False),
        ("{a|hour|lt: 4}", {"a": 1_772_416_800_000}, True),
        ("{a|hour: 2}", {"a": "02:00"}, False),
        ("{a.b.c: x}", {"a": {"b": {"c": "x"}}}, True),
        ("{a.b.c: x}", {"a": {"b": "c"}}, False),
        ("{a.0.b: x}", {"a": [{"b": "x"}]}, True),
        ("{a.1.b: x}", {"a": [{"b": "x"}]}, False),
        ("{a.b: x}", {"a": [{"b": "y"}, {"b": "x"}]}, True),
        ("{a: x}", {"a": ["y", "x"]}, True),
        ("{a|contains|all: [p, q]}", {"a": ["p", "q"]}, True),
        ("{a: x}", {"a": {"x": 1}}, False),
        ("{a: x}", {"a": 10**5000}, False),
        ("{a|contains: '1'}", {"a": -(10**5000)}, False),
        ("{a|gt: 1}", {"a": 10**5000}, True),
    ],
)
def test_a_field_is_compared(selection: str, event: dict[str, Any], expected: bool) -> None:
    assert matches(selection, event) is expected


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        ("{a|base64: x}", "the modifier `base64`"),
        ("{a|base64offset|contains: x}", "the modifier `base64offset`"),
        ("{a|windash: x}", "the modifier `windash`"),
        ("{a|expand: x}", "the modifier `expand`"),
        ("{a|: x}", "the modifier ``"),
        ("{a|contains|startswith: x}", "do not go together"),
        ("{a|i: x}", "do not go together"),
        ("{a|contains|contains: x}", "twice"),
        ("{a|re|cased: x}", "`cased` does not go"),
        ("{a|hour|contains: x}", "`hour` goes"),
        ("{a|contains: 4}", "takes a text"),
        ("{a|contains: ''}", "takes a text"),
        ("{a|contains: '*'}", "for every text"),
        ("{a: x?}", "wildcard"),
        ("{a|all: x}", "`all` takes a list"),
        ("{a|exists: x}", "true or false"),
        ("{a|fieldref: [b]}", "path of a field"),
        ("{a|gt: x}", "takes a number"),
        ("{a|gt: true}", "takes a number"),
        ("{a|cidr: 192.0.2.1/24}", "no network"),
        ("{a|cidr: 4}", "no network"),
        ("{a|re: '('}", "linear time"),
        ("{a|re: '(?=x)x'}", "linear time"),
        ("{a|re: '(x)\\1'}", "linear time"),
        ("{a|re: 'x{1000}{1000}'}", "linear time"),
        ("{a|re: 4}", "an expression"),
        ("{a b: x}", "no path"),
        ("{a..b: x}", "no path"),
        ("{a: {b: c}}", "a value is"),
        ("{a: []}", "1 to 1000 values"),
        ("{}", "1 to 32 fields"),
        ("[x, y]", "words without a field"),
        ("x", "words without a field"),
        ("[]", "words without a field"),
    ],
)
def test_what_is_not_of_the_subset_is_refused_with_its_place(selection: str, told: str) -> None:
    with pytest.raises(RuleError, match=re.escape(told)) as caught:
        rules(selection)
    assert caught.value.message.startswith("own.yml:6")


_PIECES = st.lists(st.sampled_from(("a", "b", "ab", "*", "A")), max_size=7).map("".join)


@given(_PIECES.filter(bool), st.text(alphabet="abAB", max_size=12))
def test_wildcards_are_what_an_expression_says(pattern: str, text: str) -> None:
    expected = re.fullmatch(
        ".*".join(map(re.escape, pattern.split("*"))), text, re.IGNORECASE | re.DOTALL
    )
    assert matches(f"{{a: '{pattern}'}}", {"a": text}) is (expected is not None)


_EVENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("a", "b", "ip", "0")), inner, max_size=3)
    ),
    max_leaves=12,
)
_FIELDS = (
    *("a: x", "a.b|contains: y", "a.0.b|re: z", "b|cidr: 10.0.0.0/8", "a.b.ip|gt: 3", "ip: null"),
    *("a.ip|fieldref: b", "b.a|hour: 3", "a.a|exists: false", "b.0|endswith: q"),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(("a", "b", "ip", "count", "metadata")), _EVENTS))
def test_no_event_makes_a_rule_fail(event: dict[str, Any]) -> None:
    for field in _FIELDS:
        assert isinstance(matches(f"{{{field}}}", event), bool)


def test_texts_are_looked_at_up_to_a_bound() -> None:
    assert not matches("{a|contains: x}", {"a": "y" * 5000 + "x"})
    assert matches("{a|contains: x}", {"a": "y" * 4000 + "x"})


def test_the_place_of_an_error_is_that_of_its_own_document() -> None:
    good = f"{HEAD}detection: {{s: {{a: x}}, condition: s}}\n"
    bad = f"{HEAD}detection: {{s: {{a|base64: x}}, condition: s}}\n"
    with pytest.raises(RuleError, match=r"own\.yml:11 a\|base64"):
        list(read_rules(f"{good}---\n{bad}", "own.yml"))
