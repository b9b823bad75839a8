"""Whose processor time and memory it is, by the kinds of a node's processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bench.processes import pss, spent, tree
from bench.roles import (
    SANDBOXES,
    SUPERVISOR,
    memory,
    microseconds,
    processor_seconds,
    role_of,
    told,
)


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
    assert sum(processor_seconds(tree(os.getpid())).values()) >= own > 0


def test_children_that_a_supervisor_waited_for_were_sandboxes() -> None:
    own = spent(Path("/proc/self/stat").read_text(), children=False)
    children = spent(Path("/proc/self/stat").read_text(), children=True) - own
    [this] = [one for one in tree(os.getpid()) if one.pid == os.getpid()]
    found = processor_seconds([this], lambda _: SUPERVISOR)
    assert found[SUPERVISOR] >= own and found[SANDBOXES] > children - 0.01


def test_memory_is_weighed_by_role() -> None:
    [this] = [one for one in tree(os.getpid()) if one.pid == os.getpid()]
    assert memory([this], lambda _: "a")["a"] > 0.5 * pss([this])


def test_what_was_spent_is_told_by_call_the_most_first() -> None:
    found = microseconds({"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 2.0001, "c": 1.0}, 1000)
    assert found == pytest.approx({"a": 500.0, "b": 0.1, "c": 1000.0})
    assert told(found, "us") == "1,500 us (c 1,000, a 500)"
    assert microseconds({"a": 2.0}, {"a": 1.0}, 10) == {"a": 0.0}
