"""The measurement of restored calls: whose processor time it is, and how it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bench.processes import spent
from bench.restoring import processor_seconds, role_of, text


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ("/x/python -m casemate.cli.main serve --json", "supervisor"),
        ("/x/python /x/casemate serve", "supervisor"),
        ("/x/python -I -m casemate.gateway.process {}", "gateway"),
        ("/x/python -I -m casemate.child.bound 7 casemate.gateway.process {}", "gateway"),
        ("/x/python -I -m casemate.restorer.process {}", "restorer"),
        ("/x/python -I -m casemate.child.program casemate.vault.process {}", "vault"),
        ("/x/python -P -m casemate.child.program casemate.cli.serving 3 serve", "supervisor"),
        ("/usr/bin/bwrap --unshare-user -- /x/python", "sandboxes"),
        ("/x/python -m", "sandboxes"),
        ("", "sandboxes"),
    ],
)
def test_processes_are_told_by_their_command(words: str, role: str) -> None:
    assert role_of(words.replace(" ", "\0").encode()) == role


def test_time_is_that_of_ended_children_too() -> None:
    fields = ["S", *["0"] * 10, "100", "20", "3", "4", "0"]
    stat = f"7 (a) b) {' '.join(fields)}"
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert spent(stat, children=False) == 120 * tick
    assert spent(stat, children=True) == 127 * tick


def test_a_tree_is_counted() -> None:
    own = spent(Path("/proc/self/stat").read_text(), children=False)
    assert sum(processor_seconds(os.getpid()).values()) >= own > 0


def test_the_figures_are_told_by_process() -> None:
    found = {"us": 500.0, "gateway_us": 150.4, "vault_us": 0.2, "restorer_us": 300.0}
    found |= {"per_second": 3000.0, "p50_ms": 0.451}
    told = text({"now": {"plain-restored": found}, "ratio": {"plain, forked / restored": 6.04}})
    assert "plain-restored" in told and "500 us by call (restorer 300, gateway 150)" in told
    assert "3000/s, p50 0.45 ms" in told and told.endswith("plain, forked / restored: 6.04")
