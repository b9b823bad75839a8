"""A node is handed over to another version under load: no connection is refused, no call lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from casemate.signing import SigningKey
from casemate.upgrade.asking import ask
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.upgrading import hand_over
from casemate.upgrade.versions import COMPLETE, FOLDER, Versions, program
from support.node import TestNode
from support.versions import make_environment, make_release

KEY = SigningKey.from_bytes(bytes([1]) * 32)

SLOW = """
import time
def handler(event, context):
    time.sleep(event)
    return "done"
"""


@pytest.fixture(scope="module")
def installation() -> Iterator[Path]:
    """Where functions' users can read; `first` is what was installed first."""
    folder = Path(tempfile.mkdtemp(prefix="casemate-upgrade-", dir="/var/tmp"))
    folder.chmod(0o755)
    make_environment(folder / "first", "1.0.0")
    (folder / FOLDER).mkdir(mode=0o755)
    make_environment(folder / FOLDER / "2.0.0", "2.0.0")
    make_environment(folder / FOLDER / "3.0.0", "3.0.0", broken="gateway/process.py")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def node(installation: Path) -> Iterator[TestNode]:
    node = TestNode(installation / "data")
    node.launcher = tuple(program(installation / "first", []))
    node.start()
    node.deploy(SLOW)
    yield node
    node.close()


class Load:
    """Calls one after the other, each by a connection of its own."""

    def __init__(self, node: TestNode) -> None:
        self.node = node
        self.ended = threading.Event()
        self.codes: list[int] = []
        self.errors: list[str] = []
        self.slowest = 0.0
        self.threads = [threading.Thread(target=self._run) for _ in range(2)]

    def _run(self) -> None:
        while not self.ended.is_set():
            begun = time.monotonic()
            try:
                answer = httpx2.post(
                    f"{self.node.url}/invoke/t/f",
                    json=0,
                    headers={"authorization": f"Bearer {self.node.key}"},
                    timeout=60,
                )
                self.codes.append(answer.status_code)
            except httpx2.HTTPError as error:
                self.errors.append(repr(error))
            self.slowest = max(self.slowest, time.monotonic() - begun)
            time.sleep(0.02)

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()


def test_no_connection_is_refused_and_a_running_call_ends(
    node: TestNode, installation: Path
) -> None:
    assert node.process is not None
    pid = node.process.pid
    versions = Versions(installation / "first")
    answers: list[httpx2.Response] = []
    with Load(node) as load:
        slow = threading.Thread(target=lambda: answers.append(node.invoke(1.5)))
        slow.start()
        time.sleep(0.3)
        versions.switch(installation / FOLDER / "2.0.0")
        hand_over(node.data, "2.0.0", lambda _: None)
        time.sleep(0.3)
    slow.join()
    assert answers[0].status_code == 200
    assert load.errors == [] and set(load.codes) == {200}
    state = ask(node.data)
    assert state is not None and state.version == "2.0.0" and node.process.pid == pid
    [entry] = node.get("/journal", kind="ReleaseChanged")["entries"]
    assert entry["event"]["unmapped"] == {"before": "1.0.0", "release": "2.0.0"}


@pytest.fixture
def upgraded(node: TestNode, installation: Path) -> None:
    """The node is of the second version, whether or not the test above was run."""
    state = ask(node.data)
    if state is None or state.version == "1.0.0":
        Versions(installation / "first").switch(installation / FOLDER / "2.0.0")
        hand_over(node.data, "2.0.0", lambda _: None)


@pytest.mark.storm
@pytest.mark.usefixtures("upgraded")
def test_a_version_that_does_not_start_gives_the_node_back(
    node: TestNode, installation: Path
) -> None:
    versions = Versions(installation / "first")
    versions.switch(installation / FOLDER / "3.0.0")
    with Load(node) as load, pytest.raises(UpgradeError, match=r"2\.0\.0 goes on"):
        hand_over(node.data, "3.0.0", lambda _: None)
    assert load.errors == [] and set(load.codes) == {200}
    versions.switch(installation / FOLDER / "2.0.0")


@pytest.mark.storm
@pytest.mark.usefixtures("upgraded")
def test_the_first_version_starts_the_current_one_after_a_kill(
    node: TestNode, installation: Path
) -> None:
    node.stop(9)
    node.start()
    state = ask(node.data)
    assert state is not None and state.version == "2.0.0"
    assert node.invoke(0).status_code == 200
    told = subprocess.run(
        program(installation / "first", ["--version"]), capture_output=True, text=True, check=True
    )
    assert told.stdout == "casemate 2.0.0\n"


@pytest.mark.storm
@pytest.mark.usefixtures("upgraded")
def test_the_command_does_all_of_it_and_goes_back_over_a_schema(
    node: TestNode, installation: Path
) -> None:
    release = installation / "release"
    key = make_release(release, "4.0.0", KEY, schemas={"store": 999})
    made = make_environment(installation / FOLDER / "4.0.0", "4.0.0")
    # As if it was installed from there: with uv that is tried by tests/unit/upgrade.
    (made / COMPLETE).write_bytes((release / COMPLETE).read_bytes())
    environ = {**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            program(installation / "first", ["upgrade", *arguments, "--yes"]),
            env=environ, capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    where = ("--data", str(node.data), "--master-key", f"file:{node.master_key}")
    with Load(node) as load:
        told = run(str(release), "--key", key, *where)
    assert load.errors == [] and set(load.codes) == {200}
    assert "4.0.0 is running, instead of 2.0.0" in told
    node.deploy("def handler(event, context):\n    return 2\n", name="later")
    assert "is running" in run("--back", code=1)
    node.stop()
    told = run("--back")
    [aside] = installation.glob("data.4.0.0-*")
    assert str(aside) in told
    node.start()
    state = ask(node.data)
    assert state is not None and state.version == "2.0.0"
    assert node.invoke(0).status_code == 200
    assert node.invoke(0, function="t/later").status_code == 404
