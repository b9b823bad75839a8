"""A node that serves while its disk fails: what is acknowledged is there, what is not says so."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from support.bundles import deploy, make_bundle, upload
from support.cli import casemate
from support.faults.disk import DiskFaults, Operation
from support.node import TestNode

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(900)]
_LAUNCHER = """\
import os
from casemate.child.start import PLAIN_ENVIRONMENT
for name in ("LD_PRELOAD", "FAULTS_CONTROL"):
    PLAIN_ENVIRONMENT[name] = os.environ[name]
from casemate.cli import serving
from casemate.cli.main import main
from casemate.supervisor.serve import serve
serving.become_supervisor = serve  # in this process, where the environment is
main()
"""
MANIFEST = """
[project]
name = "t"
[table.kept]
key = "id"
[function.put]
handler = "app:put"
grants = { tables = [{ name = "kept", actions = ["put", "get"] }] }
[function.put.recordings]
sample = 1.0
"""
SOURCE = """
def put(event, context):
    if event.get("look"):
        return context.table("kept").get(event["n"]) is not None
    context.table("kept").put({"id": event["n"]})
    return event["n"]
"""
SECONDS = 5.0
AGAIN_SECONDS = 30.0
PLACES = (
    *(("store/", each) for each in (Operation.READ, Operation.WRITE, Operation.SYNC)),
    *(("data/t", each) for each in (Operation.READ, Operation.WRITE, Operation.SYNC)),
    *(("records", each) for each in (Operation.WRITE, Operation.SYNC)),
    *(("recordings", each) for each in (Operation.WRITE, Operation.NAME, Operation.OPEN)),
    *(("vault", each) for each in (Operation.READ, Operation.WRITE)),
    *(("bundles", each) for each in (Operation.READ, Operation.WRITE)),
    ("spool", Operation.WRITE),
)


class FaultyNode(TestNode):
    """All processes of it meet the faults of one disk."""

    __test__ = False
    launcher = (sys.executable, "-c", _LAUNCHER)

    def __init__(self, data: Path, faults: DiskFaults) -> None:
        super().__init__(data)
        self._faults = faults

    def start(self) -> TestNode:
        os.environ.update(self._faults.environment)
        try:
            return super().start()
        finally:
            for name in self._faults.environment:
                del os.environ[name]


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[tuple[FaultyNode, DiskFaults]]:
    folder = tmp_path / "faults"
    folder.mkdir()
    faults = DiskFaults(folder)
    for path, mode in ((tmp_path, 0o755), (folder / "control", 0o666)):
        path.chmod(mode)  # processes of the node are other users
    node = FaultyNode(tmp_path / "data", faults)
    node.start()
    yield node, faults
    node.close()


class Load:
    """Puts, uploads and tokens, all the time."""

    def __init__(self, node: TestNode) -> None:
        self.node = node
        self.kept: list[str] = []
        self.tokens: list[str] = []
        self.codes: Counter[tuple[str, int]] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._puts, self._changes)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def put(self, name: str) -> int:
        code = self._note("put", self.node.invoke({"n": name}, function="t/put"))
        if code == 200:
            self.kept.append(name)
        return code

    def _note(self, what: str, answer: httpx2.Response) -> int:
        self.codes[what, answer.status_code] += 1
        assert "Traceback" not in answer.text and str(self.node.data) not in answer.text
        return answer.status_code

    def _puts(self) -> None:
        number = 0
        while not self._stop.wait(0.05):
            number += 1
            self.put(f"n{number}")

    def _changes(self) -> None:
        number = 0
        while not self._stop.wait(0.3):
            number += 1
            body = {"name": f"token-{number}", "roles": ["auditor"]}
            answer = self.node.client.post(f"{self.node.url}/api/v1/tokens", json=body)
            if self._note("token", answer) == 201:
                self.tokens.append(answer.json()["token"]["id"])
            made = make_bundle(f"def handler(event, context):\n    return {number}\n", name="g")
            if self._note("upload", upload(self.node, made.digest, made.archive())) == 201:
                self._note("deploy", deploy(self.node, made))
            recordings = f"{self.node.url}/api/v1/recordings"
            self._note("recordings", self.node.client.get(recordings))


def test_a_disk_that_fails_under_load_costs_nothing_that_was_acknowledged(
    faulty: tuple[FaultyNode, DiskFaults],
) -> None:
    node, faults = faulty
    node.deploy_project(MANIFEST, SOURCE)
    with Load(node) as load:
        for place, operation in PLACES:
            faults.begin(place, operation)
            time.sleep(SECONDS)
            print(place, operation, faults.end(), dict(load.codes))

            def is_well(of: str = f"{place}{operation}") -> bool:
                ready = node.client.get(f"{node.url}/api/v1/ready").status_code
                return load.put(f"after {of}") == ready == 200

            node.wait_until(is_well, AGAIN_SECONDS)
    # What is away is 503 and can be sent again; no fault of the node's own. A deploy whose
    # signature could not be kept is refused as one that has none.
    codes = {code for what, code in load.codes if (what, code) != ("deploy", 409)}
    assert codes <= {200, 201, 503}, load.codes
    for again in range(2):
        lost = [
            name
            for name in load.kept
            if node.invoke({"n": name, "look": True}, function="t/put").json() is not True
        ]
        assert lost == [], again
        known = {each["id"] for each in node.get("/tokens")["tokens"]}
        assert [each for each in load.tokens if each not in known] == []
        assert casemate(node, "check").returncode == 0
        assert casemate(node, "journal", "verify").returncode == 0
        node.stop(9)
        node.start()
