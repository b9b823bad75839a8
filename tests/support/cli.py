"""The command line as a user runs it, against a node of a test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping

from support.forked_cli import run
from support.node import TestNode


def casemate(
    node: TestNode,
    *arguments: str,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a command with the node's address and the owner's token; it may fail.

    `env` comes before all else.
    """
    return run(
        arguments,
        env={
            **os.environ,
            "CASEMATE_URL": node.url,
            "CASEMATE_KEY": node.key,
            "NO_COLOR": "1",
            **(env or {}),
        },
        stdin=stdin or "",
        timeout=timeout,
    )
