"""What leaves a real node: traces, numbers and lines, and checkpoints of the journal."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_monitor import back, cli, health

from casemate.journal.kept import MAX_KEPT, notes_in
from support.cli import casemate
from support.monitor import Receiver
from support.node import TestNode
from support.otlp import Answer, Collector, attributes

pytestmark = pytest.mark.sandbox
TOKEN = "ghp_" + "a1B2" * 9
SETTINGS = """
[export.lake]
kind = "otlp"
url = "http://127.0.0.1:{collector}"
every = "1s"
metrics_every = "1s"
secret_headers = {{ authorization = "ops/otlp" }}
accept = ["private", "plaintext"]
[checkpoints.usb]
kind = "file"
path = "witness/checkpoints"
accept = ["same-mount"]
every = "1s"
[checkpoints.hook]
kind = "webhook"
url = "http://127.0.0.1:{receiver}/witness"
secret = "ops/otlp"
accept = ["private", "plaintext"]
every = "1s"
[checkpoints.gone]
kind = "s3"
url = "http://127.0.0.1:9"
bucket = "witness"
access_key = "AKIA1"
secret = "ops/otlp"
accept = ["private", "plaintext"]
every = "1s"
"""
HANDLER = f"""
def handler(event, context):
    context.log.warning("line %d of {TOKEN}" % event["n"])
    if event["n"] < 0:
        raise ValueError("no")
    return event
"""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as found:
        yield found


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, receiver: Receiver
) -> Iterator[TestNode]:
    folder = tmp_path_factory.mktemp("node")
    (folder / "witness").mkdir()
    text = SETTINGS.format(collector=collector.port, receiver=receiver.port)
    (folder / "node.toml").write_text(text)
    node = TestNode(folder / "data", "--config", str(folder / "node.toml")).start()
    done = casemate(node, "secrets", "set", "ops/otlp", stdin="Bearer 0123456789")
    assert done.returncode == 0, done.stderr
    node.deploy(HANDLER)
    yield node
    node.close()


def numbers(collector: Collector, text: str = "line ") -> Counter[int]:
    """Return the numbers of the lines that arrived."""
    bodies = [each.body.string_value for each in collector.lines()]
    return Counter(int(each.split()[1]) for each in bodies if each.startswith(text))


def kept(node: TestNode) -> list[str]:
    return notes_in((node.data.parent / "witness" / "checkpoints").read_text())


def page(node: TestNode) -> dict[tuple[str, ...], float]:
    text = node.client.get(f"{node.url}/metrics").text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_call_arrives_as_a_span_and_its_lines(node: TestNode, collector: Collector) -> None:
    outside = "4bf92f3577b34da6a3ce929d0e0e4736"
    sent = node.invoke({"n": 1}, headers={"traceparent": f"00-{outside}-00f067aa0ba902b7-01"})
    assert sent.status_code == 200
    assert node.invoke({"n": -1}).status_code == 500
    node.wait_until(lambda: {1, -1} <= set(numbers(collector)), 20)
    node.wait_until(lambda: len(list(collector.spans())) >= 2, 20)
    spans = {each.status.code: each for each in collector.spans() if each.name == "f"}
    assert spans[1].trace_id.hex() == outside
    assert spans[1].parent_span_id.hex() == "00f067aa0ba902b7"
    told = attributes(spans[2].attributes)
    assert told["casemate.outcome"] == "handler-error" and told["http.response.status_code"] == 500
    [line] = [each for each in collector.lines() if "line 1 of" in each.body.string_value]
    assert line.severity_text == "warning"
    # What is exported is masked as what is stored is.
    assert TOKEN not in str(list(collector.lines()))
    with collector.lock:
        headers = {headers["authorization"] for _, headers, _ in collector.requests}
    assert headers == {"Bearer 0123456789"}


def test_the_node_s_numbers_arrive(node: TestNode, collector: Collector) -> None:
    wanted = {"casemate_invocations_total", "casemate_run_seconds", "casemate_recorded_seconds"}
    node.wait_until(lambda: wanted <= {each.name for each in collector.metrics()}, 20)


def test_checkpoints_arrive_at_their_places(node: TestNode, receiver: Receiver) -> None:
    node.wait_until(lambda: kept(node), 20)
    node.wait_until(lambda: receiver.requests, 20)
    told = json.loads(receiver.requests[0][2])
    assert notes_in(told["checkpoint"]) == [told["checkpoint"]]
    done = casemate(
        node, "journal", "verify", "--checkpoint", str(node.data.parent / "witness/checkpoints")
    )
    assert done.returncode == 0, done.stderr
    # As many as a file holds.
    full = node.data.parent / "full"
    full.write_text("".join(kept(node)[:1] * MAX_KEPT))
    done = casemate(node, "journal", "verify", "--checkpoint", str(full))
    assert done.returncode == 0, done.stderr


def test_what_does_not_arrive_is_said_and_delays_no_other(node: TestNode) -> None:
    node.wait_until(lambda: "checkpoints do not arrive at gone" in health(node)["detail"], 20)
    found = page(node)
    assert found["casemate_checkpoint_place_well", "gone"] == 0
    assert found["casemate_checkpoint_place_well", "usb"] == 1
    assert found["casemate_checkpoints_failed_total", "gone"] >= 1
    assert found["casemate_export_well", "lake", "logs"] == 1
    assert found["casemate_export_sent_total", "lake", "traces"] >= 2
    assert found["casemate_monitor_lag_seconds_count",] > 0
    assert found["casemate_recorded_seconds_count",] > 0
    assert node.client.get(f"{node.url}/api/v1/ready").status_code == 200


def test_kills_and_an_outage_lose_nothing(node: TestNode, collector: Collector) -> None:
    sent = 100

    def call(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            with contextlib.suppress(httpx2.HTTPError):
                if node.invoke({"n": sent}).status_code == 200:
                    sent += 1

    call(5)
    collector.answer = lambda _path, _request: Answer(503)
    call(5)
    killed = node.part("monitor")
    os.kill(killed, signal.SIGKILL)
    node.wait_until(lambda: back(node, killed), 20)
    call(5)
    os.kill(node.part("recorder"), signal.SIGKILL)
    node.wait_until(lambda: "arrive at lake" in health(node)["detail"], 30)
    call(5)
    collector.answer = lambda _path, _request: None
    node.wait_until(lambda: set(range(100, sent)) <= set(numbers(collector)), 60)
    # What was taken in the seconds before a kill may come twice, under its number.
    assert max(numbers(collector).values()) <= 3


def test_a_journal_that_was_put_back_is_found_by_what_was_sent(node: TestNode) -> None:
    """The last one: the node is stopped, and another journal put in its place."""
    witness = node.data.parent / "witness" / "checkpoints"
    key = json.loads(cli(node, "journal", "head", "--json"))["key"]
    node.stop()
    before = node.data.parent / "before"
    shutil.copytree(node.data / "journal", before)
    node.start()
    node.client.post(f"{node.url}/api/v1/tokens", json={"name": "evil", "roles": ["owner"]})
    # One that came late, of the journal before, would not tell of what came since.
    size = json.loads(cli(node, "journal", "head", "--json"))["size"]
    node.wait_until(lambda: any(int(note.split("\n")[1]) >= size for note in kept(node)), 20)
    node.stop()
    for name in ("journal", "monitor"):
        shutil.rmtree(node.data / name)
    shutil.copytree(before, node.data / "journal")

    def verify(*more: str) -> Any:
        arguments = ("--data", str(node.data), "--key", key, "--json")
        done = casemate(node, "journal", "verify", *arguments, *more)
        return json.loads(done.stdout)["findings"]

    assert verify() == []
    [found] = verify("--checkpoint", str(witness))
    assert found["kind"] == "rolled back"
