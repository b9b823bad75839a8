"""`casemate contract`: proposes what accepts the recorded events, and judges others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
    }


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
