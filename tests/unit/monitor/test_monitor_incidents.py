"""Findings that belong together are one incident: a fold of the journal, and bounded."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate import set_clock
from casemate.model.level import Level
from casemate.monitor import incidents as module
from casemate.monitor.consumers import Happened
from casemate.monitor.incidents import QUIET_SECONDS, Incidents
from casemate.monitor.known_incident import MAX_LINES
from casemate.monitor.things import things_of
from casemate.operations.incidents import IncidentState, ListIncidents
from support.set_time import Clock

AT = 1_764_201_600.0
DAY = 86_400.0


def finding(
    n: int,
    entity: str = "resources.0.name=function:shop/pay",
    *,
    at: float = AT,
    level: str = "high",
    rule: str = "sql-injection",
    project: str = "shop",
    **more: Any,
) -> Happened:
    own = {
        "finding": f"{n:016x}",
        "rule": rule,
        "level": level,
        "title": f"title of {rule}",
        "entity": entity,
        "techniques": ["T1190"],
        **more,
    }
    event = {"unmapped": own, "cloud": {"project_uid": project}}
    return Happened(n, f"e{n}", "Finding", at, event)


def updated(id: str, change: str, value: str = "", text: str = "", at: float = AT) -> Happened:
    own = {"incident": id, "change": change, "value": value, "text": text}
    event = {"unmapped": own, "actor": {"user": {"name": "user:ada"}}}
    return Happened(0, "u", "IncidentUpdated", at, event)


def acted(id: str, problem: str = "", at: float = AT) -> Happened:
    own = {
        "incident": id,
        "action": "quarantine",
        "target": "function:shop/pay",
        "undo": "casemate release shop/pay",
        "problem": problem,
    }
    return Happened(0, "a", "IncidentActed", at, {"unmapped": own})


def folded(*batch: Happened) -> Incidents:
    incidents = Incidents()
    incidents.take(batch)
    return incidents


def test_a_clock_that_is_ahead_for_a_moment_forgets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(set_clock, "time", clock)
    clock.now = clock.steady = AT
    incidents = folded(finding(1))
    clock.step(500 * DAY)
    incidents.take([finding(2, "resources.0.name=function:shop/cart", at=AT + 500 * DAY)])
    clock.step(-500 * DAY)
    assert len(ids(incidents)) == 2
    clock.pass_(500 * DAY)
    incidents.take([finding(3, "resources.0.name=function:shop/list", at=AT + 500 * DAY)])
    assert len(ids(incidents)) == 2, "the first is over"


def test_that_one_is_closed_is_told_once_until_it_is_open_again() -> None:
    incidents = folded(finding(1))
    told: list[tuple[str, float]] = []
    incidents.closed = lambda known, at: told.append((known.id, at))
    turns = ("resolved", "false-alarm", "open", "resolved")
    incidents.take([updated(ONE, "state", state, at=AT + n) for n, state in enumerate(turns, 1)])
    assert told == [(ONE, AT + 1), (ONE, AT + 4)]


def ids(incidents: Incidents, **wanted: Any) -> list[str]:
    return [each.id for each in incidents.listed(ListIncidents(**wanted)).incidents]


ONE = f"inc_{1:016x}"


def test_findings_that_share_something_are_one() -> None:
    incidents = folded(
        finding(1),
        finding(2, "actor.user.name=function:shop/pay", rule="code-injection", level="critical"),
        finding(3, "src_endpoint.ip=203.0.113.9 resources.0.name=function:shop/pay", level="low"),
        finding(4, "src_endpoint.ip=203.0.113.9", rule="tokens-tried"),
        finding(5, "resources.0.name=function:shop/other"),
    )
    assert ids(incidents) == [f"inc_{5:016x}", ONE]
    one = incidents.get(ONE)
    assert one is not None and one.findings == 4
    assert (one.level, one.title) == (Level.CRITICAL, "title of code-injection")
    assert one.things == ("function:shop/pay", "203.0.113.9")
    assert {each.rule: each.findings for each in one.rules} == {
        "sql-injection": 2,
        "code-injection": 1,
        "tokens-tried": 1,
    }
    assert [each.kind for each in one.timeline] == ["finding"] * 4


def test_what_was_found_last_comes_first_whenever_it_was_opened() -> None:
    incidents = folded(
        finding(1, "resources.0.name=function:shop/a", at=AT),
        finding(2, "resources.0.name=function:shop/b", at=AT + 1),
        finding(3, "resources.0.name=function:shop/a", at=AT + 2),
    )
    assert ids(incidents) == [ONE, f"inc_{2:016x}"]
    assert ids(incidents, limit=1) == [ONE]


def test_lesser_findings_link_by_addresses_alone_and_have_nothing_contained() -> None:
    """Whoever deploys at night names all functions that they deployed."""
    by = "actor.user.name=user:ada src_endpoint.ip=192.0.2.7 resources.0.name=function:shop"
    batch = (
        finding(1, f"{by}/pay", level="low", rule="deploy-at-night"),
        finding(2, "actor.user.name=user:ada resources.0.name=function:shop/honest", level="low"),
        finding(3),
        finding(4, "src_endpoint.ip=192.0.2.7", rule="tokens-tried"),
        finding(5, "resources.0.name=function:shop/honest"),
    )
    for order in itertools.permutations(batch[:3]):
        incidents = folded(*order)
        one = incidents.get(f"inc_{3:016x}")
        assert one is not None and one.things == ("function:shop/pay",)
        assert (len(one.functions), one.findings) == (1, 2)
    again = Incidents()
    again.recall(folded(*batch[:3]).remembered())
    again.take(batch[3:])
    first, last = (again.get(f"inc_{n:016x}") for n in (3, 5))
    assert first is not None and last is not None
    assert (first.findings, last.findings) == (3, 2)
    assert first.things == ("function:shop/pay", "192.0.2.7")


def test_a_name_in_common_hides_nothing_from_the_owner_of_a_project() -> None:
    """Whoever asks for another's secret would else have what is found of it be of two projects."""
    incidents = folded(
        finding(1, "unmapped.resource=secret:shop/key", project="mine"),
        finding(2, "unmapped.resource=secret:shop/key"),
        finding(3, "unmapped.resource=secret:shop/key", project=""),
    )
    assert [len(ids(incidents, project=one)) for one in ("mine", "shop")] == [1, 1]
    assert len(ids(incidents)) == 2, "what is of no project joins the newest"


def test_what_a_function_was_denied_is_not_contained_with_it() -> None:
    """Whoever calls another function without a grant had it stopped as well."""
    found = folded(
        finding(1, "resources.0.name=shop/evil unmapped.resource=function:shop/pay"),
        finding(2, "resources.0.name=shop/evil unmapped.resource=bucket:shop/pay"),
    )
    [listed] = found.listed(ListIncidents()).incidents
    assert [(each.project, each.name) for each in listed.functions] == [("shop", "evil")]


def test_no_function_is_left_out_of_an_incident_that_is_about_too_much() -> None:
    """Who comes from many addresses fills it: what comes after would be contained by nobody."""
    who = "actor.user.name=user:mallory"
    flood = [finding(n, f"{who} src_endpoint.ip=192.0.2.{n}") for n in range(1, 100)]
    incidents = folded(
        *flood,
        finding(200, f"{who} resources.0.name=function:shop/evil", rule="function-made-public"),
    )
    found = [incidents.get(id) for id in ids(incidents)]
    about = {each.text for one in found if one is not None for each in one.functions}
    assert about == {"function:shop/evil"}
    assert all(one is not None and len(one.things) <= module.MAX_THINGS for one in found)
    assert sum(one.findings for one in found if one is not None) == 100
    assert len(found) == 2, "and no more of them than are needed"


@pytest.mark.parametrize("who", ["user:root", "playbook:escape-tried", "node"])
def test_an_incident_is_not_about_who_contains_it(who: str) -> None:
    """Or it would be about all that they contain, in whatever project, and stop that, too."""

    def response(n: int, function: str, rule: str = "function-quarantined") -> Happened:
        level = "high" if rule == "function-quarantined" else "low"
        entity = f"resources.0.name={function} actor.user.name={who}"
        return finding(n, entity, rule=rule, level=level, project=function.partition("/")[0])

    incidents = folded(
        finding(1, "resources.0.name=shop/evil", rule="mount-tried"),
        response(2, "shop/evil"),
        finding(3, "resources.0.name=bank/evil", rule="mount-tried", project="bank"),
        response(4, "bank/evil"),
        response(5, "shop/evil", "containment-undone"),
        response(6, "shop/evil"),
        finding(7, f"actor.user.name={who} resources.0.name=bank/honest", project="bank"),
    )
    found = [incidents.get(id) for id in reversed(ids(incidents))]
    about = [(one.things, one.projects, one.findings) for one in found if one is not None]
    assert about[:2] == [
        (("function:shop/evil",), ("shop",), 4),
        (("function:bank/evil",), ("bank",), 2),
    ]
    assert len(about) == 3
    alone = folded(response(1, "shop/a"), response(2, "shop/b"))
    assert len(ids(alone)) == (1 if who == "user:root" else 2)


@pytest.mark.parametrize("drill", ["casemate-drill", "casemate-drill-blocked"])
def test_a_drill_and_what_is_no_drill_are_two(drill: str) -> None:
    """Whoever plays one is in what goes on anyway, which is closed by no drill, or else with it."""
    who = "src_endpoint.ip=127.0.0.1"

    def drilled(n: int) -> Happened:
        return finding(n, f"{who} resources.0.name={drill}/victim", project=drill, level="critical")

    real = finding(1, f"{who} resources.0.name=shop/pay")
    later = finding(3, f"{who} resources.0.name=shop/cart")
    for batch in itertools.permutations((real, drilled(2), later, drilled(4))):
        incidents = folded(*batch)
        found = [incidents.get(id) for id in ids(incidents)]
        about = {(one.projects, one.level, one.findings) for one in found if one is not None}
        assert about == {(("shop",), "high", 2), ((drill,), "critical", 2)}


def test_what_stands_for_everybody_joins_nothing() -> None:
    assert things_of("actor.user.name=anonymous:public src_endpoint.ip=192.0.2.1 broken") == [
        "192.0.2.1"
    ]
    assert things_of("unmapped.seconds=60 unmapped.risk=landlock cloud.project_uid=shop") == [
        "risk:landlock",
        "project:shop",
    ], "what says how names nothing"
    entity = "actor.user.name=function:shop/pay resources.0.name=shop/pay x=secret:shop/key"
    assert things_of(entity) == ["function:shop/pay", "secret:shop/key"]
    one, other = "192.0.2.1", "192.0.2.2"
    incidents = folded(
        finding(1, f"actor.user.name=anonymous:public src_endpoint.ip={one}"),
        finding(2, f"actor.user.name=anonymous:public src_endpoint.ip={other}"),
    )
    assert len(ids(incidents)) == 2


def test_only_what_is_grave_enough_opens_one() -> None:
    assert not ids(folded(finding(1, level="low"), finding(2, level="informational")))
    assert len(ids(folded(finding(1, level="medium")))) == 1


def test_one_that_is_quiet_or_closed_is_not_joined() -> None:
    late = AT + QUIET_SECONDS + 1
    assert len(ids(folded(finding(1), finding(2, at=late)))) == 2
    assert len(ids(folded(finding(1), finding(2, at=late - 2)))) == 1
    closed = updated(ONE, "state", "resolved", "mended")
    assert len(ids(folded(finding(1), closed, finding(2)))) == 2
    again = updated(ONE, "state", "open", "it goes on")
    assert len(ids(folded(finding(1), closed, again, finding(2)))) == 1


def test_what_people_say_and_do_stands_in_it() -> None:
    incidents = folded(
        finding(1),
        updated(ONE, "assign", "ada"),
        updated(ONE, "note", "", "our scanner"),
        acted(ONE, at=AT + 5),
        acted(ONE, "it is not there", at=AT + 9),
        updated(ONE, "state", "false-alarm", "a test", at=AT + 20),
    )
    one = incidents.get(ONE)
    assert one is not None
    assert (one.owner, one.state) == ("ada", IncidentState.FALSE_ALARM)
    assert (one.contained_at, one.closed_at) == (AT + 5, AT + 20)
    assert [(each.kind, each.by) for each in one.timeline] == [
        ("finding", ""),
        ("assign", "user:ada"),
        ("note", "user:ada"),
        ("contain", ""),
        ("contain", ""),
        ("state", "user:ada"),
    ]
    assert "taken back by: casemate release shop/pay" in one.timeline[3].text
    assert "failed: it is not there" in one.timeline[4].text


def test_one_that_is_opened_again_after_it_was_contained_is_contained() -> None:
    incidents = folded(finding(1), acted(ONE), updated(ONE, "state", "resolved", "x"))
    incidents.take([updated(ONE, "state", "open", "x")])
    one = incidents.get(ONE)
    assert one is not None and one.state is IncidentState.CONTAINED and one.closed_at is None


def released(name: str = "shop/pay", at: float = AT) -> Happened:
    event = {"unmapped": {"reason": "r"}, "resources": [{"type": "function", "name": name}]}
    return Happened(0, "r", "FunctionReleased", at, event)


def stepped(step: str, action: str = "cut-egress", at: float = AT) -> Happened:
    own = {"incident": ONE, "step": step, "action": action, "target": "function:shop/pay"}
    return Happened(0, "s", "PlaybookStep", at, {"unmapped": own})


def test_one_whose_containment_was_taken_back_is_open_again() -> None:
    """Else it would be told as contained while calls reach the function."""
    incidents = folded(finding(1), acted(ONE, at=AT + 1))

    def state() -> str:
        one = incidents.get(ONE)
        assert one is not None and one.contained_at == AT + 1
        return str(one.state)

    assert state() == "contained"
    incidents.take([released("shop/other", AT + 2)])
    assert state() == "contained"
    incidents.take([stepped("done", at=AT + 3), released(at=AT + 4)])
    assert state() == "contained", "its way out is cut off still"
    incidents.take([stepped("undone", at=AT + 5)])
    assert state() == "open"
    incidents.take([acted(ONE, at=AT + 6), updated(ONE, "state", "resolved", at=AT + 7)])
    incidents.take([released(at=AT + 8)])
    assert state() == "resolved"
    incidents.take([updated(ONE, "state", "open", at=AT + 9)])
    assert state() == "open"
    again = Incidents()
    again.recall(incidents.remembered())
    again.take([acted(ONE, at=AT + 10), released(at=AT + 9)])
    incidents = again
    assert state() == "contained", "what was said before it is of another quarantine"


def test_the_same_finding_counts_once() -> None:
    incidents = folded(finding(1), finding(1), finding(2), finding(2))
    one = incidents.get(ONE)
    assert one is not None and one.findings == 2


def test_lists_are_of_what_is_asked_for() -> None:
    incidents = folded(
        finding(1),
        finding(2, "resources.0.name=function:mine/f", project="mine", level="medium"),
        finding(3, "src_endpoint.ip=192.0.2.7", project=""),
        # From one address, in two projects: two incidents, each for those who may see it.
        finding(4, "src_endpoint.ip=192.0.2.8 resources.0.name=function:shop/x"),
        finding(5, "src_endpoint.ip=192.0.2.8", project="mine"),
        updated(ONE, "state", "resolved", "x"),
    )
    assert ids(incidents, project="shop") == [f"inc_{4:016x}", ONE]
    assert ids(incidents, project="mine") == [f"inc_{5:016x}", f"inc_{2:016x}"]
    assert ids(incidents, state=IncidentState.RESOLVED) == [ONE]
    assert len(ids(incidents, level="high")) == 4
    page = incidents.listed(ListIncidents(limit=2))
    assert len(page.incidents) == 2 and page.more


def test_a_flood_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 5)
    incidents = folded(*(finding(n, f"src_endpoint.ip=192.0.2.{n}") for n in range(20)))
    assert len(ids(incidents)) == 5
    incidents = folded(*(finding(n, "a=x", rule=f"r{n}") for n in range(3 * MAX_LINES)))
    one = incidents.get(f"inc_{0:016x}")
    assert one is not None and one.findings == 3 * MAX_LINES
    assert len(one.timeline) == MAX_LINES and one.more == 2 * MAX_LINES
    assert len(one.rules) == module.MAX_RULES and len(one.finding_ids) == module.MAX_IDS
    assert one.timeline[0].text.startswith("high: r0:")
    assert one.timeline[-1].text.startswith(f"high: r{3 * MAX_LINES - 1}:")


def test_closed_ones_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_KEPT", 2)
    second = f"inc_{2:016x}"
    incidents = folded(
        finding(1, "a=1"),
        finding(2, "a=2"),
        updated(second, "state", "resolved"),
        finding(3, "a=3"),
    )
    assert second not in ids(incidents) and len(ids(incidents)) == 2


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"unmapped": None},
        {"unmapped": {"finding": 7, "rule": "x", "level": "high"}},
        {"unmapped": {"finding": "x", "rule": None, "level": "high"}},
        {"unmapped": {"finding": "x", "rule": "x", "level": "loud"}},
        {"unmapped": {"finding": "x", "rule": "x", "level": ["high"]}},
        {"unmapped": {"incident": [], "change": {}, "value": []}},
        {"unmapped": {"incident": ONE, "change": "state", "value": "gone"}},
        {"unmapped": {"incident": "inc_none", "change": "note", "text": "x"}, "actor": 7},
    ],
)
@pytest.mark.parametrize("kind", ["Finding", "IncidentUpdated", "IncidentActed", "Other"])
def test_what_is_not_as_it_must_be_is_passed_over(event: dict[str, Any], kind: str) -> None:
    incidents = folded(finding(1), Happened(9, "x", kind, AT, event))
    one = incidents.get(ONE)
    assert one is not None and one.state is not IncidentState.RESOLVED
    assert len(ids(incidents)) == 1


def test_in_whatever_order_findings_are_heard_of_they_are_one_incident() -> None:
    """Those that open none by themselves join it though they came before it."""
    told = [
        finding(1, "token=t function=echo", level="low", at=AT),
        finding(2, "token=t function=evil", level="low", at=AT + 1),
        finding(3, "function=evil", level="critical", at=AT + 2),
    ]
    seen = set()
    for order in itertools.permutations(told):
        incidents = folded(*order)
        (one,) = incidents.listed(ListIncidents(limit=10)).incidents
        seen.add((one.id, one.opened_at, one.findings, frozenset(one.things)))
        again = Incidents()
        again.recall(incidents.remembered())
        assert again.listed(ListIncidents(limit=10)) == incidents.listed(ListIncidents(limit=10))
    assert len(seen) == 1


def test_what_is_shown_of_one_tells_no_order_in_which_a_node_heard_of_it() -> None:
    """Two nodes showed techniques and rules of one incident each in an order of its own."""
    heard = (
        finding(1, at=AT),
        finding(2, at=AT + 2, rule="code-injection", techniques=["T1648", "T1059"]),
        finding(3, at=AT + 1, rule="code-injection", techniques=["T1489"]),
    )
    shown = set()
    for order in itertools.permutations(heard):
        one = folded(*order).get(ONE)
        assert one is not None
        shown.add((one.techniques, one.projects, one.rules))
    assert len(shown) == 1


def test_what_a_release_before_remembered_is_known() -> None:
    incidents = folded(finding(1))
    before = Incidents()
    known = msgspec.msgpack.decode(incidents.remembered())["known"]
    before.recall(msgspec.msgpack.encode(known))
    assert ids(before) == ids(incidents)


_EVENTS = st.lists(
    st.one_of(
        st.builds(
            lambda n, thing, level, at: finding(n, f"a={thing}", level=level, at=AT + at),
            st.integers(0, 30),
            st.sampled_from("pqr"),
            st.sampled_from([level.value for level in Level]),
            st.integers(0, 3 * int(QUIET_SECONDS)),
        ),
        st.builds(
            lambda n, state: updated(f"inc_{n:016x}", "state", state.value),
            st.integers(0, 30),
            st.sampled_from(list(IncidentState)),
        ),
        st.builds(lambda n: acted(f"inc_{n:016x}"), st.integers(0, 30)),
    ),
    max_size=40,
)


@given(_EVENTS, st.integers(0, 40))
def test_over_a_kill_it_comes_to_the_same(events: list[Happened], cut: int) -> None:
    whole = folded(*events)
    first = folded(*events[:cut])
    second = Incidents()
    second.recall(first.remembered())
    second.take(events[cut:])
    assert second.remembered() == whole.remembered()
    for each in whole.listed(ListIncidents(limit=1000)).incidents:
        assert each.findings >= 1 and each.opened_at <= each.last_at + 3 * QUIET_SECONDS


def test_who_takes_an_incident_acknowledges_its_findings() -> None:
    incidents = folded(finding(1), finding(2))
    id = module.PREFIX + f"{1:016x}"
    known, other = f"{2:016x}", "none"
    assert not incidents.is_acknowledged(known)
    incidents.take((updated(id, "assign", "ada"),))
    assert incidents.is_acknowledged(known) and not incidents.is_acknowledged(other)
    incidents.take((updated(id, "assign", ""),))
    assert not incidents.is_acknowledged(known)
    incidents.take((updated(id, "state", "resolved"),))
    assert incidents.is_acknowledged(known)


@pytest.mark.parametrize("rule", ["playbook-waits", "playbook-failed"])
def test_a_playbook_that_waits_opens_no_incident_of_its_own(rule: str) -> None:
    entity = f"unmapped.incident={ONE} unmapped.run=run_1 unmapped.target=token:stolen"
    incidents = folded(finding(1, level="medium"), finding(2, entity, rule=rule, at=AT + 60))
    assert ids(incidents) == [ONE]
    one = incidents.get(ONE)
    assert one is not None and one.findings == 2 and one.last_at == AT + 60
    assert (one.level, one.title) == (Level.MEDIUM, "title of sql-injection")
    assert one.things == ("function:shop/pay",), "it is about nobody more by that"
    assert incidents.joined == (f"{2:016x}", ONE)
    # Among its findings it has its own level and title.
    assert one.timeline[-1].text == f"high: {rule}: title of {rule}"
    assert {each.rule: each.level for each in one.rules}[rule] == Level.HIGH


@pytest.mark.parametrize("change", [None, "resolved"])
def test_a_playbook_of_no_open_incident_opens_one(change: str | None) -> None:
    """Its incident was forgotten, or closed while it waits: somebody has to look all the same."""
    before = [finding(1), updated(ONE, "state", change, at=AT + 1)] if change else []
    entity = f"unmapped.incident={ONE} unmapped.run=run_1 unmapped.target=token:stolen"
    incidents = folded(*before, finding(2, entity, rule="playbook-waits", at=AT + 60))
    assert f"inc_{2:016x}" in ids(incidents)


def test_no_other_rule_puts_itself_into_an_incident_by_its_name() -> None:
    incidents = folded(finding(1), finding(2, f"unmapped.incident={ONE}", project="bank"))
    assert len(ids(incidents)) == 2
