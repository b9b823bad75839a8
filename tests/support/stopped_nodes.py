"""Nodes that do not run: their files are copied, and one that has to refuse them is started."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.node import TestNode


def put(source: Path, target: Path) -> None:
    """Copy with owners, in place of what is there: a node of root gives its files to others."""
    if target.is_dir():
        shutil.rmtree(target)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def refusal(node: TestNode) -> str:
    """Start a node that has to refuse; return what it says."""
    node.errors.write_text("")
    with pytest.raises(RuntimeError):
        node.start()
    assert node.process is not None and node.process.stdout is not None
    assert node.process.wait(30) != 0
    assert node.process.stdout.read() == "", "no token is made"
    node.process.stdout.close()
    node.process = None
    said = node.errors.read_text()
    assert "Traceback" not in said
    assert "Next: " in said
    return said
