"""Limits that `casemate tune` proposes from recorded peaks, tried as a canary to a decided end."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from casemate.metering.tuning import LEAST_REQUESTS
from support.cli import casemate
from support.node import TestNode

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(600)]
CODE = """
def handler(event, context):
    held = bytearray(40 << 20)
    return len(held)
"""
MANIFEST = """
[project]
name = "tuned"
[function.f]
handler = "app:handler"
fresh = "process"  # the peak of each call is known
[function.f.limits]
memory = "{memory}"
timeout = "{timeout}"
"""


class Project:
    """A folder with a project of one function, and the node on which it is."""

    def __init__(self, node: TestNode, folder: Path) -> None:
        self.node = node
        self.folder = folder
        (folder / "app.py").write_text(CODE)
        self.statuses: list[int] = []

    def deploy(self, limits: dict[str, str], *options: str) -> tuple[int, str]:
        (self.folder / "casemate.toml").write_text(MANIFEST.format(**limits))
        manifest = ("--manifest", str(self.folder / "casemate.toml"))
        ran = casemate(self.node, "deploy", *manifest, *options, timeout=200)
        return ran.returncode, ran.stdout + ran.stderr

    def call(self) -> None:
        self.statuses.append(self.node.invoke({}, function="tuned/f").status_code)

    def tried(self, limits: dict[str, str]) -> tuple[int, str]:
        """Deploy for half of the calls while it is called."""
        ended = threading.Event()

        def called() -> None:
            while not ended.wait(0.05):
                self.call()

        calls = threading.Thread(target=called)
        calls.start()
        try:
            return self.deploy(limits, "--weight", "50", "--watch", "15")
        finally:
            ended.set()
            calls.join()

    def live(self) -> dict[int, int]:
        aliases = self.node.get("/functions/tuned/f")["aliases"]
        [found] = [each for each in aliases if each["name"] == "live"]
        return {each["version"]: each["weight"] for each in found["targets"]}


def test_what_is_proposed_is_tried_and_promoted_and_what_is_too_little_gone_back_from(
    node: TestNode, tmp_path: Path
) -> None:
    project = Project(node, tmp_path)
    limits = {"memory": "512MB", "timeout": "30s"}
    code, said = project.deploy(limits)
    assert code == 0, said
    for _ in range(LEAST_REQUESTS + 20):
        project.call()

    def proposals() -> dict[str, Any]:
        found = json.loads(casemate(node, "tune", "tuned/f", "--json").stdout)
        return {each["setting"]: each for each in found}

    node.wait_until(lambda: "limits.memory" in proposals(), 60)
    found = proposals()
    assert found["limits.memory"]["now"] == "512MB" and found["limits.timeout"]["now"] == "30s"
    memory = int(found["limits.memory"]["proposed"].removesuffix("MB"))
    assert 60 <= memory <= 160, found
    assert float(found["limits.memory"]["saves"]) > 0
    told = casemate(node, "tune", "tuned/f").stderr
    assert "casemate deploy FUNCTION --weight 10 --watch 600" in " ".join(told.split())
    wrong = casemate(node, "tune", "tuned/none")
    assert wrong.returncode == 3 and "There is no function tuned/none" in wrong.stderr

    code, said = project.tried(
        {name: found[f"limits.{name}"]["proposed"] for name in ("memory", "timeout")}
    )
    assert code == 0 and project.live() == {2: 100}, said
    assert set(project.statuses) == {200}

    code, said = project.tried({"memory": "32MB", "timeout": "5s"})
    assert code == 1 and project.live() == {2: 100}, said
    assert "gone back" in said
