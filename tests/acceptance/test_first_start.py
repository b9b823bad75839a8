"""What a first start tells, and what a wrong folder or a moved one is told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.node import TestNode
from support.servers import reserved_port


def serve(*arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a start that is refused."""
    return subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "serve", "--port", "0", *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> TestNode:
    """A node that was started once and has ended. Tests use copies of it."""
    node = TestNode(tmp_path_factory.mktemp("begun") / "data").start()
    node.stop()
    return node


@pytest.fixture
def ended(begun: TestNode, tmp_path: Path) -> TestNode:
    """A copy, with owners: a node of root gives its files to other users."""
    for path in (begun.data, begun.master_key):
        subprocess.run(["cp", "-a", path, tmp_path / path.name], check=True)
    return TestNode(tmp_path / begun.data.name)


def test_a_first_start_tells_the_place_of_the_master_key_and_to_copy_it(
    begun: TestNode, ended: TestNode
) -> None:
    said = begun.errors.read_text()
    assert f"the master key was made in {begun.master_key}. Copy it to a safe place" in said
    assert said.count("the master key was made") == 1
    ended.start()
    ended.close()
    assert "the master key was made" not in ended.errors.read_text()


_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ [a-z-]+: \S.*")
"""A line of the log, whichever process has written it."""


def started_for_people(data: Path, key: Path) -> tuple[str, str]:
    """Return what a start says to people until it serves, and what its log has to its end."""
    command = ["serve", "--port", "0", "--data", str(data), "--master-key", f"file:{key}"]
    with (data.parent / "errors").open("w+") as errors:
        node = subprocess.Popen(
            [sys.executable, "-m", "casemate.cli.main", *command],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        node_says = node.stdout
        assert node_says is not None
        with node_says:
            for line in node_says:
                if "Casemate serves on" in line:
                    break
            os.set_blocking(node_says.fileno(), True)
            node.send_signal(signal.SIGTERM)
            said = node_says.read()
        assert node.wait(60) == 0
        errors.seek(0)
        return said, errors.read()


def test_a_first_start_tells_people_the_key_once_and_logs_in_one_form(tmp_path: Path) -> None:
    key = tmp_path / "own.key"
    said, logged = started_for_people(tmp_path / "data", key)
    assert "An owner's token, shown only this once:" in said
    assert f"The master key of everything that the node keeps:\n\n    {key}\n" in said
    assert (said + logged).count(str(key)) == 1
    assert [line for line in logged.splitlines() if not _LINE.fullmatch(line)] == []
    assert " gateway: warning: owner token " in logged
    assert str(key) not in "".join(started_for_people(tmp_path / "data", key))


def test_a_start_after_one_that_was_ended_early_still_tells_the_place_of_the_key(
    tmp_path: Path,
) -> None:
    data, key = tmp_path / "data", tmp_path / "own.key"
    # One whose gateway cannot serve: no certificate can be made for such a name.
    refused = serve(
        *("--data", str(data), "--master-key", f"file:{key}"),
        *("--host", "0.0.0.0", "--tls-name", "a" * 70 + ".example.org"),
    )
    assert refused.returncode != 0
    assert key.exists(), refused.stderr
    said, _ = started_for_people(data, key)
    assert f"The master key of everything that the node keeps:\n\n    {key}\n" in said


@pytest.mark.parametrize("arguments", [(), ("--gateways", "2")], ids=["one", "gateways"])
def test_of_two_nodes_that_are_started_on_one_port_at_once_one_says_that_it_cannot(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """Both said that they serve, and the owner's token of one was of no use."""
    nodes = [TestNode(tmp_path / name, *arguments) for name in ("a", "b")]
    port = reserved_port()
    refused: list[tuple[TestNode, str]] = []

    def start(node: TestNode) -> None:
        node.port = port
        try:
            node.start()
        except RuntimeError as error:
            refused.append((node, str(error)))

    try:
        with ThreadPoolExecutor() as threads:
            list(threads.map(start, nodes))
    finally:
        for node in nodes:
            node.close()
    [(second, said)] = refused
    assert f"Cannot listen on 127.0.0.1 port {port}" in said
    assert "started in" not in said, "it was tried again and again"
    # What the start that failed has made is no first start any more, and still tells the token.
    again = TestNode(second.data).start()
    assert again.get("/functions")["functions"] == []
    again.close()


def test_moved_data_says_where_the_key_is_that_fits(begun: TestNode, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", begun.data, tmp_path / "moved"], check=True)
    refused = serve("--data", str(tmp_path / "moved"))
    assert refused.returncode != 0
    said = " ".join(refused.stderr.split())
    assert "and without it the vault stays closed" in said
    assert f"and was in 'file:{begun.master_key}'" in said
    assert "Start with --master-key naming where you keep this vault's key" in said
    moved = TestNode(tmp_path / "moved", "--master-key", f"file:{begun.master_key}").start()
    moved.close()


def test_a_folder_of_others_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    tmp_path.chmod(0o755)
    before = os.stat(tmp_path)
    for folder in (tmp_path, Path("/srv"), Path("/")):
        mode = folder.stat().st_mode
        refused = serve("--data", str(folder), "--master-key", f"file:{tmp_path / 'www' / 'key'}")
        assert refused.returncode != 0
        assert "Nothing was changed" in " ".join(refused.stderr.split())
        assert folder.stat().st_mode == mode
    after = os.stat(tmp_path)
    assert (after.st_mode, after.st_uid, after.st_mtime) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime,
    )
    assert os.listdir(tmp_path) == ["www"]
    assert os.listdir(tmp_path / "www") == []


def test_data_of_a_newer_version_is_refused_by_name(ended: TestNode) -> None:
    (ended.data / "casemate.json").write_text('{"format": 2, "version": "99.0"}')
    refused = serve("--data", str(ended.data), "--master-key", f"file:{ended.master_key}")
    assert refused.returncode != 0
    assert "made by a newer version: Casemate 99.0" in " ".join(refused.stderr.split())


def test_a_start_where_python_is_told_to_drop_docstrings(
    begun: TestNode, ended: TestNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway describes its API by them."""
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    ended.key = begun.key
    ended.start()
    try:
        described = ended.get("/openapi.json")["paths"]["/api/v1/health"]["get"]["description"]
        assert described
    finally:
        ended.close()
