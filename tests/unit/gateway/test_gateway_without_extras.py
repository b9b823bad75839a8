"""A node that shares nothing starts from a wheel without the extra `cluster` (ADR 0099)."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT = """
import importlib, sys


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "psycopg":
            raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")


sys.meta_path.insert(0, Absent())
importlib.import_module(sys.argv[1])
"""


@pytest.mark.parametrize(
    "module",
    [
        "casemate.gateway.process",
        "casemate.gateway.state",
        "casemate.gateway.health",
        "casemate.maintenance.check_folder",  # what an upgrade tries a copy of the data with
        "casemate.supervisor.serve",
    ],
)
def test_a_node_of_its_own_needs_no_driver_of_postgresql(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, module],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
