"""What other nodes tell: one incident on all of them, one alert, and nobody hides another's."""

from __future__ import annotations

import asyncio
import itertools
import time
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from test_monitor_incidents import AT, ONE, finding, folded, updated

from casemate.detection import shipped_rules
from casemate.model.facts import Fact
from casemate.model.level import Level
from casemate.monitor.alerting import OTHERS_SECONDS, Alerting
from casemate.monitor.consumers import Happened
from casemate.monitor.detecting import Detection
from casemate.monitor.findings import Findings, Found
from casemate.monitor.incidents import Incidents
from casemate.monitor.messages import Message
from casemate.monitor.noticing import Noticing, happened
from casemate.monitor.outlet import Outlet
from casemate.operations.incidents import Incident, IncidentState
from casemate.recorder.reading_protocol import Seen
from support.monitor import channel


def at_node(node: str, each: Happened) -> Happened:
    return msgspec.structs.replace(each, node=node)


def told(node: str, event: Any, at: float = AT) -> Happened | None:
    """Return an entry of this journal by which another node tells an event."""
    whole = {
        "metadata": {"event_code": "NodeTold"},
        "time": int(at * 1000),
        "unmapped": {"node": node, "entry": "e-1", "kind": "Finding", "event": event},
    }
    return happened(Seen(5, "own-1", msgspec.json.encode(whole)))


def one_of(incidents: Incidents, id: str) -> Incident:
    found = incidents.get(id)
    assert found is not None
    return found


def test_what_another_node_tells_is_what_it_was_there() -> None:
    event = {"metadata": {"event_code": "Finding"}, "time": int(AT * 1000) - 500, "unmapped": {}}
    assert told("b", event) == Happened(5, "e-1", "Finding", AT - 0.5, event, "b")
    ahead = told("b", {**event, "time": int(AT * 1000) + 3_600_000})
    assert ahead is not None and ahead.at == AT, "a clock that is ahead is not believed"


@pytest.mark.parametrize("event", [None, "text", [], 5])
def test_what_tells_nothing_is_left_out(event: Any) -> None:
    assert told("b", event) is None
    assert told("", {"metadata": {}}) is None


def test_all_nodes_name_an_incident_alike_in_whatever_order_they_hear() -> None:
    """And whatever each of them calls it, the others know what is meant."""
    all_ = [
        finding(n, at=AT + n, level=level)
        for n, level in ((1, "high"), (2, "critical"), (3, "high"))
    ]
    for order in itertools.permutations(all_):
        incidents = folded(*order)
        [found] = incidents._known.values()
        assert (found.id, found.opened_at, found.findings) == (ONE, AT + 1, 3)
        assert found.level is Level.CRITICAL
        for n in (1, 2, 3):
            assert one_of(incidents, f"inc_{n:016x}").id == ONE
        lines = [line.at for line in one_of(incidents, ONE).timeline]
        assert lines == sorted(lines)
        again = Incidents()
        again.recall(incidents.remembered())
        assert one_of(again, f"inc_{3:016x}").id == ONE


def test_of_two_nodes_that_say_something_at_once_all_believe_the_later() -> None:
    a = at_node("a", updated(ONE, "assign", "ada", at=AT + 5))
    b = at_node("b", updated(ONE, "assign", "bob", at=AT + 6))
    owners = {one_of(folded(finding(1), *order), ONE).owner for order in ((a, b), (b, a))}
    assert owners == {"bob"}
    opened = at_node("a", updated(ONE, "state", "open", at=AT + 8))
    closed = at_node("b", updated(ONE, "state", "resolved", at=AT + 7))
    for order in ((opened, closed), (closed, opened)):
        assert one_of(folded(finding(1), *order), ONE).state is IncidentState.OPEN
    # A node's own clock may jump: what it says later is later.
    back = at_node("b", updated(ONE, "assign", "eve", at=AT - 3600))
    assert one_of(folded(finding(1), b, back), ONE).owner == "eve"


def closing(seen_at: float, at: float = AT + 60) -> Happened:
    each = updated(ONE, "state", "resolved", "mended", at=at)
    own = {**each.event["unmapped"], "seen_at": seen_at}
    return msgspec.structs.replace(each, event={**each.event, "unmapped": own})


def test_what_who_closes_it_has_not_seen_stays_open() -> None:
    late = at_node("b", finding(2, at=AT + 59))
    assert one_of(folded(finding(1), late, closing(AT)), ONE).state is IncidentState.OPEN
    assert one_of(folded(finding(1), late, closing(AT + 59)), ONE).state is IncidentState.RESOLVED
    incidents = folded(finding(1), closing(AT), late)
    assert one_of(incidents, f"inc_{2:016x}").state is IncidentState.OPEN, "another one is opened"


# -- alerts --------------------------------------------------------------------------------------


class Pager:
    """A channel of one node."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.facts: list[Fact] = []
        self.outlet = Outlet("pager", channel(), self._send, node="n", tell=self.facts.append)
        self.known: dict[str, Found] = {}
        self.alerting = Alerting({"pager": self.outlet})
        self.alerting.found = self.known.get

    async def _send(self, message: Message) -> None:
        self.sent += [each.id for each in message.found]

    def hear(self, *all_: Found) -> None:
        for each in all_:
            self.known[each.id] = each
            (self.alerting.put_of_another if each.node else self.alerting.put)(each)

    def other_sent(self, *ids: str, node: str = "b", kind: str = "AlertSent") -> None:
        event = {"unmapped": {"channel": "pager", "findings": list(ids)}}
        self.alerting.take([Happened(1, "x", kind, time.time(), event, node)])

    def due(self) -> list[float]:
        now = asyncio.get_running_loop().time()
        return [round(each.due - now) for each in self.outlet._waiting.values()]


def found(id: str, node: str = "", **more: Any) -> Found:
    given: dict[str, Any] = {
        "id": id, "rule": "r", "title": "t", "level": Level.HIGH, "entity": "e=1",
        "at": time.time(), "count": 1, "events": (), "techniques": (), "project": "",
        "node": node, **more,
    }  # fmt: skip
    return Found(**given)


def test_the_first_tells_at_once_and_others_only_if_it_does_not() -> None:
    async def run() -> None:
        first, second = Pager(), Pager()
        second.alerting.be_first(first=False)
        for pager, own, other in ((first, "a", "b"), (second, "b", "a")):
            pager.hear(found(own), found(other, node=other))
        assert (first.due(), second.due()) == ([0], [OTHERS_SECONDS])
        second.other_sent("a", node="a")
        assert not second.due()
        second.hear(found("c"))
        assert not second.due(), "alike ones were told, wherever"
        second.hear(found("d", rule="other"))
        assert second.due() == [OTHERS_SECONDS]
        second.alerting.be_first(first=True)
        second.hear(found("e", rule="third"))
        assert second.due() == [OTHERS_SECONDS, 0]

    asyncio.run(run())


def test_what_was_told_before_it_is_heard_of_is_not_told_again() -> None:
    async def run() -> None:
        pager = Pager()
        pager.other_sent("a", "x")
        pager.hear(found("own"))
        assert pager.due() == [0], "it is not known to be alike yet"
        pager.hear(found("a", node="a"))
        assert not pager.due()

    asyncio.run(run())


def test_what_is_old_or_failed_elsewhere() -> None:
    async def run() -> None:
        pager = Pager()
        pager.hear(found("old", node="b", at=time.time() - 7200))
        assert not pager.due(), "a node that joins tells nothing of yesterday"
        pager.hear(found("minutes", node="b", at=time.time() - 120))
        assert pager.due() == [OTHERS_SECONDS], "it has been told, as is read in a moment"
        pager.other_sent("minutes", kind="AlertFailed")
        assert pager.due() == [OTHERS_SECONDS], "then this one tries"

    asyncio.run(run())


# -- what a node that was broken into cannot do ---------------------------------------------------


def test_no_finding_takes_the_place_of_another_nodes_or_keeps_one_from_being_found() -> None:
    kept = Findings()
    kept.add(found("a" * 16, node="a"))
    noticing: Any = SimpleNamespace(findings=kept)
    own = {"finding": "a" * 16, "rule": "r", "level": "low"}
    each = Happened(1, "x", "Finding", AT, {"unmapped": own}, "b")
    beside = Noticing._told_apart(noticing, each)
    assert beside.event["unmapped"]["finding"] not in ("", "a" * 16)
    again = msgspec.structs.replace(each, node="a")
    assert Noticing._told_apart(noticing, again) is again, "told twice it is the same"
    assert kept.alike("r", "e=1", time.time()) is None, "its own rules find it themselves"
    kept.add(found("c" * 16))
    assert kept.alike("r", "e=1", time.time()) is not None


def test_rules_see_nothing_twice_and_what_others_found_is_heard_once() -> None:
    kept = Findings()
    heard: list[Found] = []
    told: list[Found] = []
    detection = Detection(shipped_rules(), kept)
    detection.heard, detection.tell = heard.append, told.append
    event = {
        "unmapped": {
            "finding": "f" * 16, "rule": "r", "level": "high", "title": "t", "entity": "e=1",
            "events": [], "techniques": [], "who": "",
        },
        "metadata": {"event_code": "Finding"},
    }  # fmt: skip
    each = Happened(1, "x", "Finding", AT, event, "b")
    detection.take([each, each])
    assert [(one.id, one.node) for one in heard] == [("f" * 16, "b")]
    detection.take([Happened(2, "y", "PlaybookStep", AT, {"unmapped": None}, "b")])
    assert not told and not detection.faults
