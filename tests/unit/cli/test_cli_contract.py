"""`casemate contract`: proposes what accepts the recorded events, and judges others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from casemate.cli.commands import contract as contract_command
from casemate.model.invocation import Outcome
from casemate.model.recording import Came, Content, Recording, RecordingSummary
from casemate.model.trigger import TriggerKind
from casemate.operations.recordings import ListRecordings, RecordingList

EVENTS = "\n".join(
    json.dumps({"id": n, "kind": ["new", "paid"][n % 2], "note": "x" * n}) for n in range(12)
)
MANIFEST = """
[project]
name = "p"
[queue.jobs]
[function.f]
handler = "app:handler"
contract = "tight.json"
[[function.f.queue]]
queue = "jobs"
contract = "wide.json"
"""


@pytest.fixture
def folder(home, tmp_path, monkeypatch) -> Path:
    root = tmp_path / "events"
    root.mkdir()
    monkeypatch.chdir(root)
    (root / "events.jsonl").write_text(EVENTS + "\n\n")
    return root


def manifest(folder: Path) -> None:
    (folder / "casemate.toml").write_text(MANIFEST)
    (folder / "app.py").write_text("def handler(event, context): ...\n")
    (folder / "tight.json").write_text('{"properties":{"id":{"maximum":3}}}')
    (folder / "wide.json").write_text("{}")


def test_a_proposal_accepts_what_it_was_made_of(cli, folder: Path) -> None:
    proposed = cli("contract", "infer", "p/f", "events.jsonl")
    assert proposed.code == 0
    assert json.loads(proposed.out)["required"] == ["id", "kind", "note"]
    assert "From 12 events" in proposed.err
    (folder / "c.json").write_text(proposed.out)
    judged = cli("contract", "check", "c.json", "events.jsonl")
    assert (judged.code, judged.out) == (0, "All 12 events are accepted.\n")


def test_what_the_proposal_would_tighten_is_told(cli, folder: Path) -> None:
    manifest(folder)
    wide = cli("contract", "infer", "f", "--trigger", "queue-1", "events.jsonl")
    assert "tighter  /: required id, kind, note" in wide.err
    assert "of queue-1" in wide.err
    assert "tighter  /: required" in cli("contract", "infer", "f", "events.jsonl").err


def test_a_contract_that_the_manifest_names_already_is_yet_to_be_written(cli, folder: Path) -> None:
    manifest(folder)
    (folder / "wide.json").write_text("")  # what a shell makes of `> wide.json`
    (folder / "tight.json").unlink()
    proposed = cli("contract", "infer", "f", "events.jsonl", "--out", "tight.json")
    assert (proposed.code, proposed.out) == (0, "")
    assert "It is in tight.json." in proposed.err
    assert cli("contract", "check", "tight.json", "events.jsonl").code == 0
    assert cli("contract", "infer", "f", "--trigger", "queue-1", "events.jsonl").code == 0


def test_a_contract_that_is_replaced_is_compared_first(cli, folder: Path) -> None:
    manifest(folder)
    told = cli("contract", "infer", "f", "events.jsonl", "--out", "tight.json")
    assert "tighter  /: required id, kind, note" in told.err
    assert "required" in (folder / "tight.json").read_text()


def test_a_route_is_named_as_it_is_everywhere(cli, folder: Path) -> None:
    manifest(folder)
    route = '[[function.f.http]]\nmethod = "POST"\npath = "/jobs"\ncontract = "wide.json"\n'
    with (folder / "casemate.toml").open("a") as file:
        file.write(route)
    told = cli("contract", "infer", "f", "--trigger", "POST /jobs", "events.jsonl")
    assert "tighter  /: required id, kind, note" in told.err
    assert "[[function.f.http]] of POST /jobs" in told.err
    missing = cli("contract", "infer", "f", "--trigger", "http-1", "events.jsonl")
    assert "It has: POST /jobs, queue-1." in missing.err


def test_names_that_are_not_there(cli, folder: Path) -> None:
    manifest(folder)
    assert "no function g" in cli("contract", "infer", "p/g", "events.jsonl").err
    missing = cli("contract", "infer", "f", "--trigger", "x", "events.jsonl")
    assert missing.code != 0
    assert "It has: queue-1." in missing.err


def test_refused_events_are_told_without_their_content(cli, folder: Path) -> None:
    (folder / "c.json").write_text('{"properties":{"card":{"type":"integer"}}}')
    (folder / "a.json").write_text('[{"card":1},{"card":"4111-1111"},{"card":true}]')
    judged = cli("contract", "check", "c.json", "a.json")
    assert judged.code == 1
    assert judged.out.splitlines() == [
        "a.json:2  refused  /card: type",
        "a.json:3  refused  /card: type",
    ]
    assert "4111" not in judged.out + judged.err
    told = json.loads(cli("contract", "check", "c.json", "a.json", "--json").out)
    assert told[1] == {
        "file": "a.json",
        "number": 2,
        "accepted": False,
        "path": "/card",
        "rule": "type",
        "more": [],
        "untold": 0,
        "only_first": False,
    }


def test_all_that_an_event_breaks_is_told(cli, folder: Path) -> None:
    (folder / "c.json").write_text('{"items": {"type": "integer"}, "maxItems": 3}')
    (folder / "a.json").write_text("[" + json.dumps(["x"] * 12) + "]")
    judged = cli("contract", "check", "c.json", "a.json")
    (line,) = judged.out.splitlines()
    assert "/: maxItems" in line and "/0: type" in line and line.endswith("; and 3 more")


def test_of_a_large_event_is_told_what_a_node_tells_of_it(cli, folder: Path) -> None:
    """All of it was told, in whatever time that took; of a very large one nothing said why not."""
    (folder / "c.json").write_text('{"items": {"type": "integer"}}')
    (folder / "a.json").write_text(json.dumps([["x"] * 20_000]))
    judged = cli("contract", "check", "c.json", "a.json")
    assert judged.code == 1
    assert "(others are not looked for in an event of this size)" in judged.out
    (told,) = json.loads(cli("contract", "check", "c.json", "a.json", "--json").out)
    assert (told["only_first"], told["more"], told["path"]) == (True, [], "/0")

    (folder / "a.json").write_text(json.dumps([["x" * 90] * 20_000]))
    judged = cli("contract", "check", "c.json", "a.json")
    assert "/: unexplained, at most" in judged.out
    assert "bytes are told where they break the contract" in judged.out


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.json", None, "cannot be read"),
        ("a.json", b"{}\n{", "line 2 is not JSON"),
        ("a.json", b"\xff", "is not UTF-8"),
        ("a.json", b"", "There are no events"),
        ("a.json", b"[]", "There are no events"),
    ],
)
def test_files_that_hold_no_events(
    cli, folder: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    result = cli("contract", "infer", "p/f", name)
    assert result.code != 0
    assert says in result.err
    assert "Next:" in result.err


def test_a_contract_that_does_not_hold(cli, folder: Path) -> None:
    (folder / "c.json").write_text('{"$ref":"https://example.com/"}')
    result = cli("contract", "check", "c.json", "events.jsonl")
    assert result.code != 0
    assert "nothing is fetched" in result.err


def _kept(kind: TriggerKind, data: object, **detail: object) -> dict[str, Any]:
    return {
        "id": "1", "source": "/s", "type": "t", "time": 1.0, "subject": "",
        "kind": kind.value, "data": data, kind.value: detail,
    }  # fmt: skip


def _request(body: str, route: str = "/orders", method: str = "POST") -> dict[str, Any]:
    return {"method": method, "route": route, "body": body, "is_base64": False}


RECORDED = (
    ("invoke", Outcome.OK, Came.NOW, {"id": 1}),
    ("function", Outcome.OK, Came.NOW, {"id": 2}),
    ("invoke", Outcome.HANDLER_ERROR, Came.NOW, {"failed": True}),
    ("invoke", Outcome.OK, Came.KEPT, _kept(TriggerKind.INVOKE, {"id": 3})),
    ("queue", Outcome.OK, Came.KEPT, _kept(TriggerKind.QUEUE, {"job": 1}, queue="jobs")),
    ("queue", Outcome.OK, Came.KEPT, _kept(TriggerKind.QUEUE, {"other": 1}, queue="others")),
    ("queue", Outcome.OK, Came.BATCH, [_kept(TriggerKind.QUEUE, {"job": 2}, queue="jobs")] * 2),
    ("http", Outcome.OK, Came.NOW, _request('{"order": 1}')),
    ("http", Outcome.OK, Came.NOW, _request('{"order": 2}', method="PUT")),
    ("http", Outcome.OK, Came.NOW, _request("order=3")),
    ("http", Outcome.OK, Came.NOW, _request('{"page": 1}', route="/pages")),
    ("http", Outcome.OK, Came.KEPT, _kept(TriggerKind.HTTP, {}, **_request('{"order": 4}'))),
)


class Recorded:
    """A node that has recordings, and nothing else."""

    def __init__(self, recorded: tuple[Any, ...]) -> None:
        self._recordings = [
            Recording(
                summary=RecordingSummary(
                    id=f"inv_{number}", project="p", function="f", version=1, trigger=trigger,
                    outcome=outcome, at=1.0, expires_at=2.0, size=1,
                ),
                content=Content(event=json.dumps(event).encode() if event else b"", came=came),
            )
            for number, (trigger, outcome, came, event) in enumerate(recorded)
        ]  # fmt: skip

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, operation: Any) -> Any:
        if isinstance(operation, ListRecordings):
            assert (operation.project, operation.function) == ("p", "f")
            return RecordingList(recordings=tuple(one.summary for one in self._recordings))
        (found,) = (one for one in self._recordings if one.summary.id == operation.id)
        assert found.summary.outcome is Outcome.OK, "one that failed is not looked at"
        return found


def recorded_manifest(folder: Path) -> None:
    manifest(folder)
    with (folder / "casemate.toml").open("a") as file:
        file.write('[[function.f.http]]\nmethod = "POST"\npath = "/orders"\n')
        file.write('[[function.f.http]]\nmethod = "*"\npath = "/pages"\n')


@pytest.mark.parametrize(
    ("trigger", "names", "count"),
    [
        ((), ["id"], 3),
        (("--trigger", "queue-1"), ["job"], 3),
        (("--trigger", "POST /orders"), ["order"], 2),
        (("--trigger", "* /pages"), ["page"], 1),
    ],
)
def test_events_that_the_node_has_recorded_are_those_of_the_trigger_that_ended_well(
    cli, folder: Path, monkeypatch, trigger: tuple[str, ...], names: list[str], count: int
) -> None:
    recorded_manifest(folder)
    large = ("invoke", Outcome.OK, Came.NOW, None)
    monkeypatch.setattr(contract_command, "connect", lambda: Recorded((*RECORDED, large)))
    proposed = cli("contract", "infer", "f", *trigger)
    assert (proposed.code, f"From {count} events" in proposed.err) == (0, True), proposed.err
    assert json.loads(proposed.out)["required"] == names


def test_where_nothing_is_recorded_it_is_told_how_it_would_be(
    cli, folder: Path, monkeypatch
) -> None:
    recorded_manifest(folder)
    monkeypatch.setattr(contract_command, "connect", lambda: Recorded(()))
    told = cli("contract", "infer", "f", "--trigger", "queue-1")
    assert told.code == 1
    assert "has recorded no events of p/f for queue-1" in told.err
    assert "sample = 1.0" in told.err
    assert "[function.f.recordings]" in told.err


def test_triggers_that_recordings_do_not_tell_apart(cli, folder: Path, monkeypatch) -> None:
    manifest(folder)
    with (folder / "casemate.toml").open("a") as file:
        file.write('[topic.news]\n[[function.f.topic]]\ntopic = "news"\n')
        file.write('[[function.f.topic]]\ntopic = "news"\nfilter = { a = 1 }\n')
    monkeypatch.setattr(contract_command, "connect", lambda: Recorded(RECORDED))
    told = cli("contract", "infer", "f", "--trigger", "topic-1")
    assert told.code == 1
    assert "do not tell events of topic-1 and topic-2 apart" in told.err
