"""What `casemate dev --debug` hands to the debugger, and what it refuses."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.cli import debugging
from casemate.cli.errors import CommandError
from casemate.model.function import EventFormat, FunctionSpec
from casemate.model.invocation import Outcome
from casemate.model.recording import Came, Content, Frame, Recording, RecordingSummary
from casemate.runner import event as runner_event


def recording(
    trigger: str = "invoke", event: bytes = b'{"a": 1}', came: Came = Came.NOW
) -> Recording:
    summary = RecordingSummary(
        id="inv_1",
        project="shop",
        function="f",
        version=3,
        trigger=trigger,
        outcome=Outcome.HANDLER_ERROR,
        at=5.0,
        expires_at=9.0,
        size=1,
    )
    frames = (Frame(True, b'{"n":1,"op":"x"}'), Frame(False, b'{"n":1,"ok":{}}', b"\xff"))
    return Recording(summary=summary, content=Content(event=event, came=came, frames=frames))


def spec(**changes: Any) -> FunctionSpec:
    return FunctionSpec(name="f", handler="app:handler", **changes)


def test_a_direct_call_is_handed_over_as_it_came() -> None:
    job = msgspec.json.decode(msgspec.json.encode(debugging.job_of(spec(), recording())))
    assert (job["event"], job["shape"], job["version"]) == ({"a": 1}, "", 3)
    assert job["frames"][1] == [False, "eyJuIjoxLCJvayI6e319", "/w=="]


def test_a_request_has_what_the_node_adds() -> None:
    job = debugging.job_of(spec(), recording("http", b'{"method": "GET"}'))
    assert job["shape"] == "http" and job["event"]["method"] == "GET"
    assert (job["event"]["id"], job["event"]["time"]) == ("inv_1", 5.0)


KEPT = {
    "id": "e1", "source": "/projects/shop/buckets/in", "type": "casemate.bucket.created",
    "time": 4.0, "kind": "bucket", "subject": "a.png", "data": {"key": "a.png"},
    "bucket": {"key": "a.png"},
}  # fmt: skip


def test_what_came_by_an_inbox_is_handed_over_with_its_attributes() -> None:
    one = debugging.job_of(spec(), recording("bucket", msgspec.json.encode(KEPT), Came.KEPT))
    assert (one["shape"], one["http"], one["event"]) == ("event", False, KEPT)
    several = msgspec.json.encode([KEPT, KEPT])
    batch = debugging.job_of(spec(), recording("queue", several, Came.BATCH))
    assert (batch["shape"], batch["http"], batch["event"]) == ("batch", False, [KEPT, KEPT])
    later = msgspec.json.encode({**KEPT, "kind": "http", "http": {}})
    kept = debugging.job_of(spec(), recording("http", later, Came.KEPT))
    assert (kept["shape"], kept["http"]) == ("event", True), "a route that answers 202"


@pytest.mark.parametrize("trigger", ["schedule", "queue", "topic", "bucket", "table", "nats", ""])
def test_what_cannot_be_handed_over_is_refused_by_name(trigger: str) -> None:
    with pytest.raises(CommandError, match="cannot be handed over"):
        debugging.job_of(spec(), recording(trigger))


AWS = [each for each in EventFormat if each is not EventFormat.CASEMATE]
REQUEST = {
    "method": "GET", "path": "/a/b", "route": "/a/{x}", "path_parameters": {"x": "b"},
    "query": "q=1", "query_parameters": {"q": "1"}, "headers": {"host": "h", "a": "b"},
    "cookies": {}, "body": "", "is_base64": False, "remote_address": "192.0.2.1",
}  # fmt: skip


def given(job: dict[str, Any]) -> Any:
    origin = runner_event.Origin({"id": job["id"], "at": job["at"]}, "shop", "f")
    return runner_event.read(job["shape"], msgspec.json.decode(msgspec.json.encode(job["event"])),
                             origin)[0]  # fmt: skip


@pytest.mark.parametrize("form", AWS)
def test_requests_are_handed_over_in_the_shapes_of_aws(form: EventFormat) -> None:
    job = debugging.job_of(spec(event_format=form), recording("http", msgspec.json.encode(REQUEST)))
    assert job["shape"] == "aws" and job["http"]
    event = given(job)
    assert event.get("rawPath", event.get("path")) == "/a/b"
    assert event["requestContext"].get("requestId", "inv_1") == "inv_1"


def test_what_came_by_an_inbox_is_handed_over_in_the_shapes_of_aws() -> None:
    aws = spec(event_format=EventFormat.AWS)
    message = {
        **KEPT, "kind": "queue", "data": {"order": 7}, "queue": {
            "queue": "jobs", "attempt": 1, "attributes": {}, "sent_at": 4.0},
    }  # fmt: skip
    batch = debugging.job_of(
        aws, recording("queue", msgspec.json.encode([message, message]), Came.BATCH)
    )
    assert not batch["http"]
    assert [record["body"] for record in given(batch)["Records"]] == ['{"order":7}'] * 2
    tick = {**KEPT, "kind": "schedule", "schedule": {}, "data": None}
    one = debugging.job_of(aws, recording("schedule", msgspec.json.encode(tick), Came.KEPT))
    assert given(one)["id"] == "e1" and "detail-type" in given(one)


def test_a_direct_call_has_no_shape_of_aws() -> None:
    aws = spec(event_format=EventFormat.AWS)
    assert debugging.job_of(aws, recording())["shape"] == ""
    kept = {**KEPT, "kind": "invoke", "invoke": {}, "data": {"a": 1}}
    job = debugging.job_of(aws, recording("invoke", msgspec.json.encode(kept), Came.KEPT))
    assert job["shape"] == "event" and given(job)["a"] == 1


def test_what_no_shape_of_aws_can_be_made_of_is_refused() -> None:
    pigeon = msgspec.json.encode({**KEPT, "kind": "pigeon", "pigeon": {}})
    with pytest.raises(CommandError, match="cannot be handed over"):
        debugging.job_of(spec(event_format=AWS[0]), recording("queue", pigeon, Came.KEPT))


def test_an_event_that_was_too_large_is_refused() -> None:
    with pytest.raises(CommandError, match="too large"):
        debugging.job_of(spec(), recording(event=b""))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--host", "0.0.0.0"), "this machine alone"),
        (("--host", "casemate.example.com"), "this machine alone"),
        (("--host", "127.0.0.1.nip.io"), "this machine alone"),
        (("--host", "::"), "this machine alone"),
        (("--learn",), "nothing of --learn"),
        (("--write",), "nothing of --learn"),
        (("err_1", "err_2"), "the id of one error"),
    ],
)
def test_it_is_refused_elsewhere(cli, words: tuple[str, ...], why: str) -> None:
    told = cli("dev", "--debug", *words)
    assert told.code == 2 and why in told.err


@pytest.mark.parametrize("typed", ["p event\nq\n", ""])
def test_commands_are_taken_from_a_file(
    typed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "commands"
    path.write_text(typed)
    # Says again what it is sent: first the job.
    with (
        path.open() as file,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        monkeypatch.setattr("sys.stdin", file)
        debugging._relay(process, b"job\n")
    assert capsys.readouterr().out == f"job\n{typed}"


def test_nothing_may_be_typed_at_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        Path("/dev/null").open() as nothing,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        monkeypatch.setattr("sys.stdin", nothing)
        debugging._relay(process, b"job\n")
    assert capsys.readouterr().out == "job\n"
