"""Web hooks that were answered with 202 are handled, whatever is killed right after the answer."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import threading
import time

import httpx2
import pytest

from support.node import TestNode

SOURCE = """
import time

def handler(event, context):
    time.sleep(0.05)
    context.bucket("told").put(event.data["after"], "")
"""
TRIGGER = """
[[function.f.repository]]
name = "code"
provider = "github"
secret = "hook-key"
"""
KEY = "a key that this test alone has"
KILLS = 3


class Sender(threading.Thread):
    """Sends pushes one after the other, and again what was not answered, as GitHub does not."""

    def __init__(self, node: TestNode) -> None:
        super().__init__()
        self.node = node
        self.over = threading.Event()
        self.accepted: set[str] = set()
        self.duplicates = 0

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            body = json.dumps({"ref": "refs/heads/x", "before": "0", "after": f"{number:040x}"})
            signature = hmac.new(KEY.encode(), body.encode(), hashlib.sha256).hexdigest()
            headers = {"x-github-event": "push", "x-hub-signature-256": f"sha256={signature}"}
            while not self.over.is_set():
                try:
                    answer = httpx2.post(
                        f"{self.node.url}/hooks/t/f/code", content=body, headers=headers, timeout=5
                    )
                except httpx2.HTTPError:
                    time.sleep(0.05)
                    continue
                if answer.status_code in (200, 202):
                    self.duplicates += answer.status_code == 200
                    self.accepted.add(f"{number:040x}")
                    break
                assert answer.status_code == 503, answer.text
                time.sleep(0.05)


@pytest.mark.storm
def test_what_was_accepted_is_handled_over_kills(fresh_node: TestNode) -> None:
    node = fresh_node
    grants = 'buckets = [{ name = "told", actions = ["write"] }]'
    node.deploy(SOURCE, routes=TRIGGER, grants=grants, resources="[bucket.told]", approve=True)
    subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "secrets", "set", "t/hook-key"],
        input=KEY,
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
        env=os.environ | {"CASEMATE_URL": node.url, "CASEMATE_KEY": node.key},
    )
    sender = Sender(node)
    sender.start()
    try:
        for number in range(KILLS):
            time.sleep(1.0 + 0.3 * number)
            node.stop(signal.SIGKILL)
            time.sleep(1.0)
            node.start()
        time.sleep(1.0)
    finally:
        sender.over.set()
        sender.join()
    assert len(sender.accepted) > 10

    def missing() -> set[str]:
        found = node.get("/buckets/t/told/objects", limit=1000)["objects"]
        return sender.accepted - {one["key"] for one in found}

    node.wait_until(lambda: not missing(), 60)
