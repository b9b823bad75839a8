"""A node is killed while it starts with the next release: nothing is lost, the next start holds."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from test_rolling_upgrade import KEEPS, deploy, versions

from casemate.upgrade.versions import program
from support.cluster import Cluster
from support.node import TestNode, default_risks
from support.rolling import Callers, drain, next_release
from support.s3 import S3Server

pytestmark = [pytest.mark.sandbox, pytest.mark.storm, pytest.mark.timeout(600)]
KILLS = 8


def start_and_kill(node: TestNode, environment: dict[str, str], after: float) -> None:
    """Start a node, and kill it after so many seconds."""
    with node.errors.open("a") as errors:
        process = subprocess.Popen(
            [
                *node.launcher,
                *("serve", "--json", "--data", str(node.data), "--port", str(node.port)),
                *("--no-playbooks", *default_risks(), *node.arguments),
            ],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            env=os.environ | environment,
        )
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.wait(30)


def test_starts_that_are_killed_cost_nothing(tmp_path: Path, postgresql_server: Any) -> None:
    chance = random.Random(40)
    with contextlib.ExitStack() as stack:
        objects = stack.enter_context(contextlib.closing(S3Server(tmp_path / "s3")))
        cluster = Cluster(tmp_path, postgresql_server, objects)
        stack.enter_context(contextlib.closing(cluster))
        release = stack.enter_context(next_release())
        one = cluster.node("one").start()
        began = time.monotonic()
        two = cluster.node("two").start()
        took = time.monotonic() - began
        deploy(one, KEEPS)
        two.wait_until(lambda: two.invoke({"note": "x"}, function="t/notes").status_code == 200)
        with Callers([one, two]) as callers:
            drain(one, two)
            time.sleep(1.0)
            assert one.stop() == 0
            one.launcher = tuple(program(release, []))
            for _ in range(KILLS):
                # Of these kills, half come when it serves already.
                start_and_kill(one, cluster.environment(), chance.uniform(0.4, 3.5) * took)
            one.start()
            assert "99.0.0" in versions(two)
            drain(one, two, undo=True)
            deploy(two, KEEPS + "# again\n")
            one.wait_until(
                lambda: one.get("/functions/t/notes")["aliases"][0]["targets"][0]["version"] == 2
            )
        assert callers.wrong == []
        assert callers.lost(one) == set()
        assert callers.lost(two) == set()
