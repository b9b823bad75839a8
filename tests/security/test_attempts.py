"""Attempts to break a node, class by class: hundreds, so they are made in the long run alone."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from support.attempts import (
    accepted,
    destroying,
    dry_runs,
    filling,
    history,
    kernel,
    lines,
    listener,
    proxy,
    requests,
    residue,
    routes,
    secret_reads,
    versions,
)
from support.node import TestNode, default_risks

KINDS = (
    *(kernel, requests, residue, routes, lines, versions, destroying, proxy, dry_runs, history),
    *(listener, filling, secret_reads),
)


@pytest.mark.storm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__.rpartition(".")[2])
def test_nothing_works(tmp_path: Path, kind: ModuleType) -> None:
    node = TestNode(tmp_path / "data", *getattr(kind, "ARGUMENTS", ())).start()
    try:
        found = list(kind.attempts(node))
    finally:
        node.close()
    assert len(found) >= 12
    worked = [one for one in found if one.worked and not accepted(one.name, default_risks())]
    assert {one.name: one.told for one in worked} == {}
