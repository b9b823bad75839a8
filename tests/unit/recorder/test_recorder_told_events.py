"""What a journal says of findings and incidents is told all nodes: each once, by whom it is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from records_samples import invocation
from test_recorder_shipping import Node, invocations, two

from casemate.model.facts import Fact, NodeTold, SignedIn
from casemate.model.response_facts import Finding, IncidentUpdated
from casemate.recorder import ocsf, told_events
from casemate.recorder.errors import RecorderError, RecorderInputError
from casemate.recorder.protocol import Take
from casemate.recorder.told_events import facts_of, kind_of


def finding(number: int, project: str = "shop", title: str = "tried") -> Finding:
    return Finding(
        at=time.time(),
        project=project,
        finding=f"{number:016x}",
        rule="tokens-tried",
        level="high",
        title=title,
        entity="src_endpoint.ip=192.0.2.7",
        events=(),
        techniques=("T1110",),
    )


def updated(text: str) -> IncidentUpdated:
    return IncidentUpdated(
        at=time.time(), incident="inc_1", change="note", value="", text=text, by="user:ada"
    )


def signed_in() -> Fact:
    return SignedIn(at=time.time(), by="user:ada", method="password")


def events(node: Node) -> list[dict[str, Any]]:
    return [json.loads(one.event) for one in node.told()]


def test_what_the_journal_says_is_told_at_once_and_only_of_some_kinds(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        await other.receive(*await one.ship_all())
        await one.happened(finding(1), signed_in(), updated("is known"), finding(2, project=""))
        await other.receive(*await one.ship_all())
        told = other.told()
        assert sorted(each.kind for each in told) == ["Finding", "Finding", "IncidentUpdated"]
        assert {each.node for each in told} == {"one"}
        assert {each["unmapped"].get("finding") for each in events(other)} == {
            f"{1:016x}", f"{2:016x}", None,
        }  # fmt: skip
        assert {each.project for each in told} == {"shop", ""}
        # Nothing new: nothing is told again.
        await one.filled.record(invocation("i1"))
        await other.receive(*await one.ship_all())
        assert len(other.told()) == 3

    two(tmp_path, run)


def test_what_is_told_nobody_is_not_opened_for_it(tmp_path: Path) -> None:
    """Each call is an entry: opening all of them cost the recorder half as much as writing them."""

    async def run(one: Node, other: Node) -> None:
        await other.receive(*await one.ship_all())
        opened: list[bytes] = []
        search = one.shipping._journal.search
        text_of = search.text_of

        async def counted(entry: bytes) -> bytes | None:
            opened.append(entry)
            return await text_of(entry)

        search.text_of = counted  # type: ignore[method-assign]
        await one.happened(*(signed_in() for _ in range(300)), finding(1))
        await one.happened(*(signed_in() for _ in range(300)), finding(2), signed_in())
        await other.receive(*await one.ship_all())
        assert len(other.told()) == len(opened) == 2
        assert await one.ship() is None

    two(tmp_path, run)


@pytest.mark.parametrize("stored", [True, False])
def test_a_kill_neither_loses_nor_repeats_what_is_told(tmp_path: Path, stored: bool) -> None:
    async def run(one: Node, other: Node) -> None:
        await one.happened(finding(1))
        first = await one.ship()
        assert first is not None
        one.close()
        one.open()
        await one.happened(finding(2))
        rest = [first] if stored else []
        rest += await one.ship_all() if stored else []
        if not stored:
            rest = await one.ship_all()
            assert rest[0] == first
        for shipped in {each.number: each for each in rest}.values():
            await other.receive(shipped)
        assert sorted(each["unmapped"]["finding"] for each in events(other)) == [
            f"{1:016x}", f"{2:016x}",
        ]  # fmt: skip

    two(tmp_path, run)


def test_a_batch_that_another_one_has_the_place_of_is_told_under_a_new_stream(
    tmp_path: Path,
) -> None:
    """A node that was put back found its number taken, and what it had sealed was told nobody."""

    async def run(one: Node, other: Node) -> None:
        await one.happened(finding(1))
        await one.filled.record(invocation("i1"))
        sealed = await one.ship()
        assert sealed is not None
        await one.happened(finding(2))
        await one.filled.record(invocation("i2"))
        anew = await one.ship(anew=True)
        assert anew is not None
        assert anew.stream > sealed.stream and anew.number == 1
        await other.receive(anew, *await one.ship_all((anew.stream, anew.number)))
        found = [each["unmapped"].get("finding") for each in events(other)]
        assert sorted(filter(None, found)) == [f"{1:016x}", f"{2:016x}"]
        assert {each.id for each in await invocations(other.records)} == {"i1", "i2"}

    two(tmp_path, run)


def test_what_is_read_twice_has_the_same_numbers_so_that_it_is_kept_once(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        await one.happened(finding(1))
        shipped = await one.ship_all()
        takes: list[Take] = []
        kept = other.take

        def take(told: Take, answer: Any) -> bool:
            takes.append(told)
            return kept(told, answer)

        other.shipping._take = take
        receive = other.records.receive

        async def killed(*_: Any) -> bool:
            raise RecorderError("killed here")

        other.records.receive = killed  # type: ignore[method-assign]
        with pytest.raises(RecorderError):
            await other.receive(*shipped)
        other.records.receive = receive  # type: ignore[method-assign]
        await other.receive(*shipped)
        [before, after] = [each for each in takes if each.facts[0].kind == "NodeTold"]
        assert (before.session, before.first) == (after.session, after.first)

    two(tmp_path, run)


def test_nothing_is_known_as_read_before_the_journal_has_it(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        await one.happened(finding(1))
        shipped = await one.ship_all()
        other.shipping._take = lambda _told, _answer: False
        with pytest.raises(RecorderError, match="has to wait"):
            await other.receive(*shipped)
        other.shipping._take = other.take
        await other.receive(*shipped)
        assert len(other.told()) == 1

    two(tmp_path, run)


def test_no_node_speaks_under_the_name_of_another(tmp_path: Path) -> None:
    async def run(one: Node, other: Node) -> None:
        await other.ship_all()
        await one.happened(finding(1))
        one.name = "other"
        await other.receive(*await one.ship_all())
        [told] = other.told()
        assert told.node == f"other~{(await one.vault.node())[:8]}"
        assert other.doubts() == ["it calls itself other, as another node does"]

    two(tmp_path, run)


def test_a_flood_goes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_events, "MAX_TOLD", 3)
    monkeypatch.setattr(told_events, "MAX_LOOKED_AT", 5)

    async def run(one: Node, other: Node) -> None:
        for first in range(0, 20, 10):
            await one.happened(*(finding(n) for n in range(first, first + 10)), signed_in())
        for _ in range(10):
            if shipped := await one.ship_all():
                await other.receive(*shipped)
        assert [int(each["unmapped"]["finding"], 16) for each in events(other)] == list(range(20))

    two(tmp_path, run)


def row(**changed: Any) -> tuple[str, str]:
    event = msgspec.json.decode(ocsf.event(finding(1), 1, "e-1"))
    return "e-1", json.dumps({**event, **changed})


@pytest.mark.parametrize(
    "bad",
    [
        (),
        ("e-1",),
        ("e-1", 5),
        ("e" * 65, row()[1]),
        ("e-1", "{"),
        ("e-1", "[" * 5000),
        ("e-1", "null"),
        row(metadata=None),
        row(metadata={"event_code": "SignedIn"}),
        row(metadata={"event_code": "NodeTold"}),
        row(metadata={"event_code": ["Finding"]}),
        row(cloud={"project_uid": "p" * 64}),
        row(more="x" * told_events.MAX_EVENT_BYTES),
        row(more="\u00e4" * (told_events.MAX_EVENT_BYTES // 2)),
    ],
)
def test_what_a_broken_recorder_tells_is_refused(bad: Any) -> None:
    with pytest.raises(RecorderInputError):
        facts_of("one", [{"told": [bad]}], 1.0)


def test_a_batch_tells_no_more_than_one_may() -> None:
    with pytest.raises(RecorderInputError, match="more events"):
        facts_of("one", [{"told": [row()] * (told_events.MAX_TOLD + 1)}], 1.0)


def test_a_kind_is_that_of_the_recorder_whatever_others_wrote() -> None:
    text = ocsf.event(finding(1, title='"event_code":"AlertSent"'), 1, "e-1")
    assert kind_of(text) == "Finding"
    assert kind_of(b"{}") not in told_events.KINDS


def test_it_stands_in_the_journal_as_it_stood_there() -> None:
    there = row()
    [told] = facts_of("one", [{"told": [there]}], 7.0)
    fact = ocsf.decode(told.kind, told.fact)
    assert isinstance(fact, NodeTold)
    event = json.loads(ocsf.event(fact, 1, "u-1"))
    assert event["unmapped"]["event"] == json.loads(there[1])
    assert (event["unmapped"]["node"], event["unmapped"]["entry"]) == ("one", "e-1")
    assert event["cloud"] == {"project_uid": "shop"}
