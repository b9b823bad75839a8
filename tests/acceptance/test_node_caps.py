"""A manifest does not decide what a node has; when memory runs out, functions go first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node import TestNode, cgroups_of
from support.processes import bases_of, gateway_of, zygotes_of

HANDLER = "def handler(event, context):\n    return 1\n"


@pytest.fixture(scope="module")
def capped_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    data = tmp_path_factory.mktemp("capped") / "data"
    node = TestNode(data, "--max-memory", "1GB", "--max-instances", "20").start()
    yield node
    node.close()


def test_what_exceeds_a_cap_is_refused_with_the_figure(capped_node: TestNode) -> None:
    caps = capped_node.get("/node")["caps"]
    assert (caps["memory"], caps["concurrency"]) == (1 << 30, 20)
    for limits in ('memory = "64GB"', "concurrency = 1000"):
        refused = capped_node.deploy(HANDLER, limits=limits, expect=422)
        assert "this node gives at most" in refused["detail"], refused
        assert ("1024MB" in refused["detail"]) == ("memory" in limits)
    capped_node.deploy(HANDLER, limits='memory = "1GB"\nconcurrency = 20')
    assert capped_node.invoke({}).status_code == 200


def test_functions_are_victims_before_the_node(capped_node: TestNode) -> None:
    capped_node.deploy(HANDLER)
    assert capped_node.invoke({}).status_code == 200
    assert capped_node.process is not None
    supervisor = capped_node.process.pid

    def score(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    gateway = gateway_of(supervisor)
    assert gateway is not None
    assert score(gateway) == score(supervisor) <= 0
    sandboxed = [*bases_of(supervisor), *zygotes_of(supervisor)]
    assert sandboxed
    assert all(score(pid) >= 500 for pid in sandboxed)


def test_all_functions_together_are_bounded_below_the_hosts_memory(capped_node) -> None:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    groups = cgroups_of(capped_node.process.pid)
    found = [
        int((group / name).read_text())
        for group in groups
        for name in ("memory.max", "memory.limit_in_bytes")
        if (group / name).exists() and (group / name).read_text().strip() != "max"
    ]
    assert found
    assert all(bound < total for bound in found)


@pytest.mark.storm
def test_doctor_tells_the_caps_of_this_host() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "doctor", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    findings = {f["name"]: f for f in json.loads(done.stdout)["findings"]}
    assert "an instance at most" in findings["memory"]["detail"]
    assert findings["open files"]["holds"]
