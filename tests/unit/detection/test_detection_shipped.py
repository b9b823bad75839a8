"""Each shipped rule finds its attack and not the benign twin, and says of itself what it must."""

from __future__ import annotations

import re
from typing import Any

import pytest

from casemate.detection import About, Detector, Level, examples, over, shipped_rules
from casemate.detection.documents import Map
from casemate.drills.recorded import events_of

REPORTING = {about.name: about for about in shipped_rules().reporting()}
EXAMPLES = examples()
_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?")


def test_there_are_at_least_a_hundred_and_each_has_an_example() -> None:
    assert len(REPORTING) >= 100
    assert REPORTING.keys() == EXAMPLES.keys()


def test_examples_are_read_once_and_are_nobodys_to_change() -> None:
    assert examples() is EXAMPLES
    with pytest.raises(TypeError):
        EXAMPLES["another"] = Map("here")  # type: ignore[index]


@pytest.mark.parametrize("name", sorted(REPORTING))
def test_it_finds_the_attack_and_not_the_twin(name: str) -> None:
    example: Map = EXAMPLES[name]
    assert example.keys() >= {"attack", "twin"}
    assert example.keys() <= {"attack", "twin", "others", "instead"}
    assert all(other.keys() == {"attack", "twin"} for other in example.get("others", ()))
    attack, twin = (list(events_of(example[each])) for each in ("attack", "twin"))
    assert name in {found.rule for found in over(attack, shipped_rules())}
    assert name not in {found.rule for found in over(twin, shipped_rules())}
    assert over(attack, shipped_rules().only(name)), "it needs no other rule"
    assert twin, "the twin is something that happens"


@pytest.mark.parametrize("about", REPORTING.values(), ids=lambda about: about.name)
def test_it_says_what_it_is(about: About) -> None:
    assert about.level in Level
    assert about.title and about.description and about.falsepositives
    assert about.techniques
    assert all(_TECHNIQUE.fullmatch(each) for each in about.techniques)
    assert re.fullmatch(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", about.id)
    assert "casemate" not in about.name


def test_every_rule_is_told_apart_by_a_field() -> None:
    assert all(rule.anchors for rule in shipped_rules().rules)


def test_an_ordinary_day_has_no_grave_finding() -> None:
    day = [
        {"SignedIn": {"by": "user:ada", "remote_address": "192.0.2.7", "method": "password"}},
        {
            "OperationPerformed": {
                "by": "user:ada",
                "remote_address": "192.0.2.7",
                "project": "shop",
                "operation": "deployFunctions",
                "effect": "change",
            }
        },
        {
            "GrantUsed": {
                "by": "function:shop/orders",
                "project": "shop",
                "function": "orders",
                "grant": "table orders",
                "action": "put",
            },
            "times": 500,
            "every": 20,
        },
        {
            "InvocationEnded": {"project": "shop", "function": "orders", "outcome": "ok"},
            "times": 500,
            "every": 20,
        },
        {
            "InvocationEnded": {"project": "shop", "function": "orders", "outcome": "timeout"},
            "times": 4,
            "every": 60,
        },
    ]
    detector = Detector(shipped_rules())
    found = [each for event in events_of(day) for each in detector.see(event, event["time"] / 1000)]
    assert found == []


def _connection(place: str, reason: str) -> dict[str, Any]:
    of = {"by": "function:shop/pay", "project": "shop", "function": "pay", "version": 1}
    own = {"kind": "egress", "action": "egress:connect", "resource": f"host:{place}"}
    return {"Denial": {**of, **own, "reason": reason}}


def test_a_slip_in_a_port_is_no_leak_and_trying_ports_or_hosts_is_found() -> None:
    of = {"by": "function:shop/pay", "project": "shop", "function": "pay", "version": 1}
    secret = {"GrantUsed": {**of, "grant": "secret stripe", "action": "read"}}

    def found(*connections: dict[str, Any]) -> set[str]:
        return {each.rule for each in over(events_of([secret, *connections]), shipped_rules())}

    slip = "not granted on this port"
    assert found(_connection("api.stripe.com:4443", slip)) == {"host-not-granted"}
    ports = [_connection(f"api.stripe.com:{port}", slip) for port in (21, 22, 25, 80, 8443)]
    assert "hosts-tried" in found(*ports)
    assert "secret-then-egress" in found(_connection("evil.example:443", "not granted"))
