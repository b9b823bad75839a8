"""`casemate deps update`: what it shows, what it tries first, and what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from casemate.advisories import Place
from casemate.cli.main import run
from support.advisories import import_records, record
from support.node import TestNode
from support.package_index import FakeIndex, fake_index

pytestmark = pytest.mark.sandbox
MANIFEST = """\
[project]
name = "demo"

[function.hello]
handler = "app:handler"
requirements = "requirements.txt"
"""
CODE = """\
import alpha, gamma
def handler(event, context):
    return gamma.VALUE
"""
TEST = """\
import socket
import gamma, app, pytest
def test_it():
    assert gamma.VALUE == {value}
    assert gamma.__file__.startswith("/function/deps/")
    assert app.handler({{}}, None) == gamma.VALUE
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", 9), 1)
    open("written-by-the-test", "w").close()
"""


@dataclass
class Run:
    code: int
    out: str
    err: str


@dataclass
class Project:
    root: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "casemate.cli.main", *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> Run:
        self.capsys.readouterr()
        code = run(arguments)
        return Run(code, *self.capsys.readouterr())

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and ".casemate" not in path.parts
        }


@pytest.fixture
def index() -> Iterator[FakeIndex]:
    with fake_index() as made:
        yield made


@pytest.fixture
def bare(
    tmp_path: Path,
    index: FakeIndex,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Project:
    """A project that was never built."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "casemate.toml").write_text(MANIFEST)
    (root / "app.py").write_text(CODE)
    (root / "requirements.txt").write_text("alpha\nbeta==1.0\n")
    import_records(
        Place(tmp_path / "advisories"),
        record(
            "GHSA-gamma",
            name="gamma",
            events=[{"introduced": "0"}, {"fixed": "2.0"}],
            severity=[{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}],
        ),
    )
    for name in [name for name in os.environ if name.startswith("CASEMATE_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "CASEMATE_ADVISORIES": str(tmp_path / "advisories"),
        "UV_DEFAULT_INDEX": f"{index.url}/simple",
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(root)
    return Project(root, monkeypatch, capsys)


@pytest.fixture
def project(bare: Project, index: FakeIndex) -> Project:
    """A project whose lock has a hole two levels down that is mended by now."""
    index.add("alpha", requires=["beta"])
    index.add("beta", requires=["gamma<2"])
    index.add("gamma", {"gamma.py": "VALUE = 1\n"})
    built = bare.run("build")
    assert built.code == 0, built.err
    index.add("beta", version="2.0", requires=["gamma"])
    index.add("gamma", {"gamma.py": "import subprocess\nVALUE = 2\n"}, version="2.0")
    index.add("gamma", {"gamma.py": "VALUE = 3\n"}, version="3.0")
    return bare


def test_from_a_dry_run_to_a_lock_that_is_tested_and_written(project: Project) -> None:
    before = project.files()
    for manifest in ((), ("--manifest", "casemate.toml")):
        dry = project.run("deps", "update", *manifest)
        assert dry.code == 1, dry.err
        assert "Known vulnerabilities to clear: 1." in dry.err
    (row,) = [line for line in dry.out.splitlines() if line.startswith("gamma")]
    assert row.split()[:4] == ["gamma", "1.0", "2.0", "major"]
    for told in ("GHSA-gamma", "processes (gamma.py:1)", "-beta==1.0", "+beta==2.0"):
        assert told in dry.out
    assert project.files() == before

    (project.root / "test_app.py").write_text(TEST.format(value=1))
    before = project.files()
    refused = project.run("deps", "update", "--apply")
    assert refused.code == 1 and "assert 2 == 1" in refused.err, refused.err
    assert project.files() == before  # what the tests wrote, they wrote into a copy

    (project.root / "test_app.py").write_text(TEST.format(value=2))
    applied = project.run("deps", "update", "hello", "--apply", "--json")
    assert applied.code == 0, applied.err
    told = json.loads(applied.out)
    assert told["written"][0] == "requirements.txt" and len(told["written"]) == 2
    assert {one["package"]: one["new"] for one in told["locks"][0]["changes"]} == {
        "beta": "2.0",
        "gamma": "2.0",
    }
    assert (project.root / "requirements.txt").read_text() == "alpha\nbeta==2.0\n"
    assert not (project.root / "written-by-the-test").exists()
    again = project.run("deps", "update", "--apply")
    assert (again.code, "Nothing would change." in again.out) == (0, True), again.err


@pytest.mark.storm
def test_whenever_it_is_killed_each_file_is_old_or_new(project: Project) -> None:
    old = project.files()
    done = project.run("deps", "update", "--apply", "--json")
    assert done.code == 0, done.err
    new = project.files()
    assert new != old and new.keys() == old.keys()
    for number in range(12):
        for name, content in old.items():
            (project.root / name).write_bytes(content)
        process = project.start("deps", "update", "--apply")
        try:
            process.wait(0.3 + 0.25 * number)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        for name, content in project.files().items():
            if not name.startswith(".casemate-"):
                assert content in (old[name], new[name]), name
        time.sleep(0.05)


def test_without_advisories_nothing_is_called_clean(bare: Project, tmp_path: Path) -> None:
    bare.monkeypatch.setenv("CASEMATE_ADVISORIES", str(tmp_path / "nowhere"))
    done = bare.run("deps", "update")
    assert done.code == 1 and "Known vulnerabilities cannot be listed" in done.err
    assert "advisories import" in done.err


def test_what_does_not_go_together_is_refused(bare: Project) -> None:
    before = bare.files()
    for arguments in (
        ("--security", "--all"),
        ("--test", "pytest"),
        ("--replay",),
        ("--deploy",),
        ("--apply", "--watch", "9"),
        ("--apply", "--weight", "9"),
        ("--apply", "--deploy", "--weight", "100"),
        ("--node", "--manifest", "."),
        ("nowhere", "--node"),
        ("--apply", "--test", "make"),
    ):
        assert bare.run("deps", "update", *arguments).code == 2
    assert bare.files() == before
    unlocked = bare.run("deps", "update")
    assert unlocked.code == 1 and "There is no lock that fits requirements.txt" in unlocked.err


@pytest.mark.storm
def test_recorded_events_have_to_be_answered_alike(
    bare: Project, index: FakeIndex, tmp_path: Path
) -> None:
    index.add("gamma", {"gamma.py": "def answer(n):\n    return n + 1\n"})
    (bare.root / "requirements.txt").write_text("gamma\n")
    (bare.root / "app.py").write_text(
        "import gamma\ndef handler(event, context):\n    return gamma.answer(event['n'])\n"
    )
    (bare.root / "casemate.toml").write_text(
        f"{MANIFEST}\n[function.hello.recordings]\nsample = 1.0\n"
    )
    medium = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"}]
    hole = record("GHSA-g", name="gamma", severity=medium)
    import_records(Place(tmp_path / "advisories"), hole)
    (tmp_path / "records").mkdir()
    (tmp_path / "records/0.json").write_text(json.dumps(hole))
    node = TestNode(tmp_path / "data").start()
    try:
        bare.monkeypatch.setenv("CASEMATE_URL", node.url)
        bare.monkeypatch.setenv("CASEMATE_KEY", node.key)
        source = ("import", str(tmp_path / "records"), "--ecosystem", "PyPI", "--node")
        for arguments in (("advisories", *source), ("deploy",)):
            done = bare.run(*arguments)
            assert done.code == 0, done.err
        answers = [node.invoke({"n": n}, function="demo/hello").json() for n in (1, -5)]
        assert answers == [2, -4]
        node.wait_until(lambda: len(recordings(bare)) == 2, 20)

        other = "def answer(n):\n    return abs(n + 1)\n"
        index.add("gamma", {"gamma.py": other}, version="2.0.0")
        before = bare.files()
        refused = bare.run("deps", "update", "--apply", "--replay")
        assert refused.code == 1, refused.out
        assert "answered -4, after no use of anything; now: answered 4" in refused.err
        assert bare.files() == before
        (worst,) = [id for id in recordings(bare) if id in refused.err]
        assert bare.run("recordings", "rm", "demo", worst, "--yes").code == 0
        applied = bare.run("deps", "update", "--apply", "--replay")
        assert applied.code == 0, applied.err
        assert "1 recorded event(s) are answered alike" in applied.out
        assert "There are no tests" in applied.err
        done = bare.run("deploy")
        assert done.code == 0, done.err
        assert node.invoke({"n": -5}, function="demo/hello").json() == 4

        index.add("delta")
        (bare.root / "requirements.txt").write_text("gamma\ndelta\n")
        prune = ("deps", "prune", "--yes", "--test")
        refused = bare.run(*prune, "python -c 'import app, delta'")
        assert "No module named 'delta'" in refused.err and refused.code == 1
        assert bare.run(*prune, "make test").code == 2  # the sandbox has no make
        assert (bare.root / "requirements.txt").read_text() == "gamma\ndelta\n"
        pruned = bare.run(*prune, "python -c 'import app'")
        assert pruned.code == 0, pruned.err
        assert "answered alike" in pruned.out and "removed delta" in pruned.out
        assert (bare.root / "requirements.txt").read_text() == "gamma\n"
    finally:
        node.close()


def recordings(project: Project) -> list[str]:
    done = project.run("recordings", "ls", "demo/hello", "--json")
    assert done.code == 0, done.err
    return [one["id"] for one in json.loads(done.out)["recordings"]]


class Calls:
    """Calls a function again and again, in a thread of its own."""

    def __init__(self, node: TestNode, function: str) -> None:
        self.node, self.function = node, function
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self) -> None:
        with httpx2.Client(headers=self.node.client.headers) as client:
            while not self.over.is_set():
                client.post(f"{self.node.url}/invoke/{self.function}", json={"n": 1})
                time.sleep(0.01)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(30)


@pytest.mark.storm
def test_an_update_goes_live_as_a_canary_function_by_function_of_a_node(
    bare: Project, index: FakeIndex, tmp_path: Path
) -> None:
    answer = "def answer(n):\n    return n + {}\n"
    index.add("gamma", {"gamma.py": answer.format(1)})
    (bare.root / "requirements.txt").write_text("gamma\n")
    (bare.root / "app.py").write_text(
        "import gamma\ndef handler(event, context):\n    return gamma.answer(event['n'])\n"
    )
    medium = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"}]
    hole = record("GHSA-g", name="gamma", severity=medium)
    import_records(Place(tmp_path / "advisories"), hole)
    (tmp_path / "records").mkdir()
    (tmp_path / "records/0.json").write_text(json.dumps(hole))
    other = tmp_path / "other"
    shutil.copytree(bare.root, other)
    (other / "casemate.toml").write_text(MANIFEST.replace('"demo"', '"gone"'))
    node = TestNode(tmp_path / "data").start()
    try:
        bare.monkeypatch.setenv("CASEMATE_URL", node.url)
        bare.monkeypatch.setenv("CASEMATE_KEY", node.key)
        source = ("import", str(tmp_path / "records"), "--ecosystem", "PyPI", "--node")
        for arguments in (
            *(("advisories", *source), ("deploy",)),
            ("deploy", "--manifest", str(other)),
        ):
            done = bare.run(*arguments)
            assert done.code == 0, done.err
        shutil.rmtree(other)
        canary = ("--apply", "--deploy", "--weight", "50", "--watch", "20")

        # What is worse is gone back from, and so are the files.
        index.add("gamma", {"gamma.py": "def answer(n):\n    raise OSError\n"}, version="2.0.0")
        before = bare.files()
        with Calls(node, "demo/hello"):
            worse = bare.run("deps", "update", *canary)
        assert worse.code == 1 and "gone back, live is version 1" in worse.out, worse.err
        assert "files of the project stay as they were" in worse.err and bare.files() == before
        assert node.invoke({"n": 1}, function="demo/hello").json() == 2

        # Nothing but packages is tried.
        (bare.root / "app.py").write_text((bare.root / "app.py").read_text() + "# changed\n")
        changed = bare.run("deps", "update", *canary)
        assert changed.code == 1 and "more than packages would change" in changed.err
        (bare.root / "app.py").write_bytes(before["app.py"])
        assert bare.files() == before

        # The whole node: one project is here, the other is not.
        hole["affected"][0]["versions"] = ["2.0.0"]
        import_records(Place(tmp_path / "advisories"), hole)
        index.add("gamma", {"gamma.py": answer.format(10)}, version="2.0.1")
        would = bare.run("deps", "update", str(tmp_path), "--node", "--json")
        told = {one["project"]: one["result"] for one in json.loads(would.out)["projects"]}
        assert (would.code, told) == (1, {"demo": "would-clear", "gone": "no-folder"})
        canary = (*canary[:-1], "2")
        with Calls(node, "demo/hello"):
            done = bare.run("deps", "update", str(tmp_path), "--node", *canary)
        rows = {line.split()[0]: line for line in done.out.splitlines() if "GHSA-g" in line}
        assert "promoted" in rows["demo"] and "no folder" in rows["gone"], done.out + done.err
        assert done.code == 1  # for the one that is left
        assert node.invoke({"n": 1}, function="demo/hello").json() == 11
        assert "gamma==2.0.1" in next(
            text.decode() for name, text in bare.files().items() if name.endswith(".lock")
        )
    finally:
        node.close()
