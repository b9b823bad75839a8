"""The monitor of a real node: an attack is told within a second, whatever is killed in between."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from casemate.model.processes import MONITOR_UID
from support.cli import casemate
from support.monitor import Receiver
from support.node import TestNode

pytestmark = pytest.mark.sandbox
SETTINGS = """
[alerts.pager]
kind = "webhook"
url = "http://127.0.0.1:{port}/hook"
secret = "ops/alert-key"
level = "medium"
accept = ["private", "plaintext"]
[alerts.lost]
kind = "webhook"
url = "http://127.0.0.1:9/nobody"
secret = "ops/alert-key"
accept = ["private", "plaintext"]
[alerts.ada]
kind = "webhook"
url = "http://127.0.0.1:{port}/ada"
secret = "ops/alert-key"
accept = ["private", "plaintext"]
level = "critical"
quiet = "00:00-23:59"
on_call = "primary"
person = "ada"
[alerts.bob]
kind = "webhook"
url = "http://127.0.0.1:{port}/bob"
secret = "ops/alert-key"
accept = ["private", "plaintext"]
level = "critical"
on_call = "primary"
person = "bob"
[oncall.primary]
zone = "Europe/Berlin"
people = ["ada", "bob"]
every = "day"
at = "00:00"
begins = 2026-11-02
[deadman]
url = "http://127.0.0.1:{port}/alive"
every = "1s"
accept = ["private", "plaintext"]
"""


def set_secret(node: TestNode) -> None:
    done = casemate(node, "secrets", "set", "ops/alert-key", stdin="a long and random text")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[TestNode]:
    folder = tmp_path_factory.mktemp("node")
    (folder / "node.toml").write_text(SETTINGS.format(port=receiver.port))
    (folder / "rules").mkdir()
    (folder / "rules" / "broken.yml").write_text("title: [")
    arguments = ("--config", str(folder / "node.toml"), "--rules", str(folder / "rules"))
    node = TestNode(folder / "data", *arguments).start()
    set_secret(node)
    yield node
    node.close()


SPRAYED = "passwords-sprayed"


def spray(node: TestNode) -> None:
    """Try the passwords of some people, as somebody who knows none."""
    for n in range(6):
        body = {"name": f"person-{n}", "password": "Summer2026!", "code": "123456"}
        answer = node.client.post(f"{node.url}/api/v1/login", json=body)
        assert answer.status_code == 401, answer.text


def alerts(receiver: Receiver) -> list[dict[str, Any]]:
    with receiver.lock:
        return [
            finding
            for _, headers, body in receiver.requests
            if "/hook" in headers[":request"]
            for finding in json.loads(body)["findings"]
        ]


def cli(node: TestNode, *arguments: str, expect: int = 0) -> str:
    done = casemate(node, *arguments)
    assert done.returncode == expect, done.stderr
    return done.stdout


def health(node: TestNode) -> dict[str, Any]:
    parts = node.get("/node/health")["parts"]
    return next(part for part in parts if part["name"] == "monitor")


def listed(node: TestNode, rule: str) -> list[dict[str, Any]]:
    found = json.loads(cli(node, "findings", "ls", "--json"))["findings"]
    return [each for each in found if each["rule"] == rule]


@pytest.mark.alone
def test_a_spray_of_sign_ins_is_told_within_a_second(node: TestNode, receiver: Receiver) -> None:
    node.wait_until(lambda: cli(node, "alert", "test", "pager", "--json"))
    spray(node)
    ended = time.time()
    node.wait_until(lambda: SPRAYED in {each["rule"] for each in alerts(receiver)}, 10)
    with receiver.lock:
        came = min(at for at, _, body in receiver.requests if b'"rule":"passwords-sprayed"' in body)
    assert came - ended < 1.0
    [found] = listed(node, SPRAYED)
    assert found["entity"] == "src_endpoint.ip=127.0.0.1"
    shown = cli(node, "findings", "show", found["id"])
    assert "casemate journal show" in shown

    def recorded(kind: str) -> bool:
        entries = node.get("/journal", kind=kind)["entries"]
        return any(found["id"] in json.dumps(each["event"]) for each in entries)

    node.wait_until(lambda: recorded("Finding"))
    node.wait_until(lambda: recorded("AlertSent"))


def test_a_channel_that_does_not_work_is_shown_and_delays_no_other(node: TestNode) -> None:
    state = {
        each["name"]: each for each in json.loads(cli(node, "alert", "ls", "--json"))["channels"]
    }
    assert state["pager"]["problem"] == ""
    assert "cannot be connected to" in cli_error(node, "alert", "test", "lost")
    node.wait_until(lambda: "alerts by" in health(node)["detail"], 20)
    assert "broken.yml" in health(node)["detail"]
    assert node.client.get(f"{node.url}/api/v1/ready").status_code == 200


def cli_error(node: TestNode, *arguments: str) -> str:
    done = casemate(node, *arguments)
    assert done.returncode in (1, 3)
    return done.stderr


def test_a_rule_is_silenced(node: TestNode) -> None:
    cli(node, "alert", "silence", "secret-denied", "--for", "2h", "--reason", "a test of ours")

    def known() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(cli(node, "alert", "silences", "--json"))[
            "silences"
        ]
        return found

    node.wait_until(known)
    [silence] = known()
    assert silence["rule"] == "secret-denied" and silence["reason"] == "a test of ours"
    cli(node, "alert", "silence", "secret-denied", "--for", "0s", "--reason", "over")
    node.wait_until(lambda: not known())
    assert "no rule" in cli_error(
        node, "alert", "silence", "nonsense", "--for", "1h", "--reason", "x"
    )
    node.wait_until(lambda: listed(node, "alerts-silenced"))
    assert "cannot be silenced itself" in cli_error(
        node, "alert", "silence", "alerts-silenced", "--for", "7d", "--reason", "quiet"
    )


def test_who_may_not_see_findings_does_not(node: TestNode) -> None:
    made = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "developer", "roles": ["developer"]}
    ).json()
    headers = {"authorization": f"Bearer {made['text']}"}
    for path in ("/findings", "/findings/0123456789abcdef", "/alerts", "/alerts/silences"):
        answer = node.client.get(f"{node.url}/api/v1{path}", headers=headers)
        assert answer.status_code == 403, path
    for path, body in (
        ("/alerts/test", {"channel": "pager"}),
        ("/alerts/silences", {"rule": "tokens-tried", "seconds": 60, "reason": "x"}),
    ):
        answer = node.client.post(f"{node.url}/api/v1{path}", headers=headers, json=body)
        assert answer.status_code == 403, path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives each process a user of its own")
def test_it_has_a_user_a_folder_and_no_rights(node: TestNode) -> None:
    pid = node.part("monitor")
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert set(status["Uid"].split()) == {str(MONITOR_UID)}
    assert int(status["CapEff"], 16) == 0
    assert status["Seccomp"].strip() == "2"
    folder = node.data / "monitor"
    assert folder.stat().st_uid == MONITOR_UID and folder.stat().st_mode & 0o777 == 0o700
    node.wait_until(lambda: (folder / "memory").exists())
    data = (folder / "memory").read_bytes()
    for text in (b"127.0.0.1", b"passwords-sprayed", b"pager"):
        assert text not in data


def test_a_killed_monitor_is_back_and_tells_nothing_twice(
    node: TestNode, receiver: Receiver
) -> None:
    spray(node)
    node.wait_until(lambda: SPRAYED in {each["rule"] for each in alerts(receiver)})
    # One that was accepted at the very moment of a kill is sent once more: docs say so.
    time.sleep(1.0)
    before = Counter(each["id"] for each in alerts(receiver))
    for _ in range(3):
        killed = node.part("monitor")
        os.kill(killed, signal.SIGKILL)
        # Calls are served meanwhile.
        assert node.client.get(f"{node.url}/api/v1/functions").status_code == 200
        node.wait_until(lambda killed=killed: back(node, killed), 20)  # type: ignore[misc]
    node.wait_until(lambda: listed(node, SPRAYED))
    time.sleep(1.0)
    after = Counter(each["id"] for each in alerts(receiver))
    assert {id: after[id] for id in before} == dict(before)


def back(node: TestNode, killed: int) -> bool:
    if node.part("monitor") in (None, killed):
        return False
    return node.client.get(f"{node.url}/api/v1/alerts").status_code == 200


def test_a_killed_recorder_is_read_along_again(node: TestNode, receiver: Receiver) -> None:
    os.kill(node.part("recorder"), signal.SIGKILL)
    count = len([each for each in alerts(receiver) if each["rule"] == "tokens-made-fast"])

    def made() -> bool:
        with contextlib.suppress(httpx2.HTTPError):
            for n in range(12):
                body = {"name": f"fast-{n}-{time.monotonic_ns()}", "roles": ["invoker"]}
                node.client.post(f"{node.url}/api/v1/tokens", json=body)
        found = [each for each in alerts(receiver) if each["rule"] == "tokens-made-fast"]
        return len(found) > count

    node.wait_until(made, 30)


@pytest.mark.storm
def test_signs_of_life_are_sent_while_all_is_well(tmp_path: Path) -> None:
    with Receiver() as receiver:
        settings = SETTINGS.format(port=receiver.port)
        deadman = settings[settings.index("[deadman]") :]
        (tmp_path / "node.toml").write_text(deadman)
        node = TestNode(tmp_path / "data", "--config", str(tmp_path / "node.toml")).start()
        try:
            node.wait_until(lambda: len(receiver.requests) >= 2, 20)
            assert "/alive" in receiver.requests[0][1][":request"]
        finally:
            node.close()


def test_settings_that_are_wrong_keep_a_node_from_starting(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(
        '[alerts.x]\nkind = "webhook"\nurl = "http://a.example/"\nsecret = "a/b"\n'
    )
    node = TestNode(tmp_path / "data", "--config", str(tmp_path / "node.toml"))
    with pytest.raises(RuntimeError, match="did not start"):
        node.start()
    assert "without TLS" in node.errors.read_text()
    node.close()


def test_a_page_reaches_whose_turn_it_is_and_nobody_else(
    node: TestNode, receiver: Receiver
) -> None:
    shifts = json.loads(cli(node, "alert", "on-call", "--days", "3", "--json"))["shifts"]
    assert len(shifts) in (3, 4) and {each["person"] for each in shifts} == {"ada", "bob"}
    cli(node, "alert", "page", "The shop does not answer", "--to", "primary")
    cli(node, "alert", "page", "to nobody", "--to", "nobody", expect=3)

    def paged() -> set[str]:
        with receiver.lock:
            return {
                headers[":request"].split("/")[1].split(" ")[0]
                for _, headers, body in receiver.requests
                if b"The shop does not answer" in body
            }

    node.wait_until(paged, 10)
    turn = json.loads(cli(node, "alert", "on-call", "--json"))["shifts"][0]["person"]
    assert paged() == {turn}
