"""Shells are proposed the functions that the node has."""

from __future__ import annotations

import os
import subprocess
import sys

from support.node import TestNode

SHARES_NODE = True


def proposed(node: TestNode, **environ: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "completion", "--functions"],
        capture_output=True,
        env={**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key, **environ},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode().splitlines()


def test_functions_of_the_node(node: TestNode) -> None:
    node.deploy("def handler(event, context):\n    return 1\n", name="proposed")
    assert "t/proposed" in proposed(node)
    assert proposed(node, CASEMATE_KEY="cm_" + "x" * 43) == []
