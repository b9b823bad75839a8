"""The command line as a user runs it, against a node of a test."""

from __future__ import annotations

import os
import subprocess
import sys

from support.node import TestNode


def casemate(
    node: TestNode, *arguments: str, stdin: str | None = None, key: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command with the node's address and a token, the owner's by default; it may fail."""
    return subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "CASEMATE_URL": node.url,
            "CASEMATE_KEY": key or node.key,
            "NO_COLOR": "1",
        },
        timeout=120,
        check=False,
    )
