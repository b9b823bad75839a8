"""The names of the sinks come without the sinks."""

from __future__ import annotations

import subprocess
import sys

from casemate.guard.sink_names import SINK_NAMES
from casemate.guard.sink_table import PACKAGES
from casemate.guard.sinks import SINKS


def test_names_are_those_of_the_sinks() -> None:
    assert tuple(sink.name for sink in SINKS) == SINK_NAMES


def test_packages_are_those_in_which_the_sinks_are_watched() -> None:
    assert {
        sink.name: tuple(sorted({module.partition(".")[0] for module in sink.patches}))
        for sink in SINKS
    } == PACKAGES


def test_the_gateway_and_the_command_line_import_no_sinks() -> None:
    code = (
        "import sys, casemate.gateway.process, casemate.cli.main\n"
        "print([n for n in sys.modules if n.startswith('casemate.guard.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "casemate.guard.sink_names" in done.stdout
    for name in ("sinks", "core", "rewriting"):
        assert f"casemate.guard.{name}'" not in done.stdout
