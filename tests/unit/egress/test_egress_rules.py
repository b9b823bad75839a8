"""Which grant allows a destination."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.egress.access import not_granted
from casemate.egress.errors import ListenerError
from casemate.egress.rules import Rules
from casemate.egress.target import Target, parse_authority
from casemate.model.grant import Grant, GrantKind
from support.egress import egress


def find(rules: Rules, text: str) -> str | None:
    rule = rules.find(parse_authority(text))
    return None if rule is None else rule.grant


def test_nothing_is_granted_by_default() -> None:
    assert Rules(()).find(Target("example.com", 443)) is None


def test_exact_host_and_port() -> None:
    rules = Rules([egress("api.example.com:443")])
    assert find(rules, "API.example.com.:443") == "egress api.example.com:443"
    for other in (
        "api.example.com:80",
        "example.com:443",
        "x.api.example.com:443",
        "api.example.com.evil.com:443",
        "evil-api.example.com:443",
    ):
        assert find(rules, other) is None


def test_a_wildcard_covers_what_is_below_and_nothing_else() -> None:
    rules = Rules([egress("*.example.com:443")])
    for covered in ("a.example.com:443", "a.b.c.example.com:443", "x-1.example.com:443"):
        assert find(rules, covered) == "egress *.example.com:443"
    for other in (
        "example.com:443",
        "evil-example.com:443",
        "evilexample.com:443",
        "a.example.com.evil.com:443",
        "a.example.com:80",
        "com:443",
    ):
        assert find(rules, other) is None


def test_the_nearest_grant_decides() -> None:
    rules = Rules(
        [
            egress("*.example.com:443"),
            egress("*.b.example.com:443", private=True),
            egress("a.b.example.com:443"),
        ]
    )
    assert find(rules, "a.b.example.com:443") == "egress a.b.example.com:443"
    assert find(rules, "c.b.example.com:443") == "egress *.b.example.com:443"
    assert find(rules, "c.example.com:443") == "egress *.example.com:443"


def test_an_address_needs_a_grant_of_that_address() -> None:
    rules = Rules([egress("93.184.216.34:443"), egress("[2606:4700::1]:443")])
    assert find(rules, "93.184.216.34:443")
    assert find(rules, "[2606:4700:0::1]:443")
    assert find(rules, "93.184.216.35:443") is None


def test_forwards() -> None:
    rules = Rules([egress("db.example.com:5432", forward=15432)])
    assert rules.forwards[15432].target == Target("db.example.com", 5432)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("*:443", {}),
        ("*.:443", {}),
        ("a.*.com:443", {}),
        ("*.10.0.0.1:443", {}),
        ("example.com", {}),
        ("example.com:0", {}),
        ("127.1:80", {}),
        ("*.example.com:443", {"forward": 5000}),
        ("example.com:443", {"forward": 3128}),
        ("example.com:443", {"forward": 0}),
        ("example.com:443", {"actions": ("read",)}),
        ("example.com:443", {"kind": GrantKind.BUCKET}),
    ],
)
def test_unusable_grants_are_refused(name: str, changes: dict[str, Any]) -> None:
    values: dict[str, Any] = {"kind": GrantKind.EGRESS, "name": name, "actions": ("connect",)}
    with pytest.raises(ListenerError):
        Rules([Grant(**{**values, **changes})])


def test_contradicting_grants_are_refused() -> None:
    with pytest.raises(ListenerError):
        Rules([egress("a.com:443"), egress("A.com.:443", private=True)])
    with pytest.raises(ListenerError):
        Rules([egress("a.com:1", forward=5000), egress("b.com:1", forward=5000)])


LABELS = st.lists(st.sampled_from(["a", "b", "example", "com", "xn--a"]), min_size=1, max_size=5)


@given(LABELS, LABELS)
def test_a_wildcard_is_a_suffix_by_labels(granted: list[str], asked: list[str]) -> None:
    rules = Rules([egress(f"*.{'.'.join(granted)}:443")])
    found = rules.find(Target(".".join(asked), 443)) is not None
    assert found == (len(asked) > len(granted) and asked[-len(granted) :] == granted)


@pytest.mark.parametrize(
    ("asked", "other_port"),
    [
        ("api.example.com:4443", True),
        ("api.example.com:22", True),
        ("api.example.com.evil.example:443", False),
        ("www.example.com:443", False),
        ("below.wild.example:8443", False),
        ("db.internal:22", False),
        ("203.0.113.7:8443", False),
    ],
)
def test_another_port_of_a_public_host_of_ones_own_is_told_apart(
    asked: str, other_port: bool
) -> None:
    """A slip in a port leads nothing away; within one's own network another port is another one."""
    rules = Rules([
        egress("api.example.com:443"), egress("*.wild.example:443"), egress("203.0.113.7:443"),
        egress("db.internal:5432", private=True, exception="the database"),
    ])  # fmt: skip
    target = parse_authority(asked)
    assert rules.find(target) is None
    assert rules.is_on_another_port(target) is other_port
    reason = not_granted(target, rules).reason
    assert reason == ("not granted on this port" if other_port else "not granted")
