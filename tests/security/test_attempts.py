"""Attempts to break a node, class by class: hundreds, so they are made in the long run alone."""

from __future__ import annotations

import pytest

from support.attempts import kernel, requests, residue
from support.node import TestNode

LEFT = {"inode numbers of memfds", "inode numbers of pipes", "cookies of sockets"}
"""Hazards of a shared kernel that SECURITY.md names as left."""


@pytest.mark.storm
@pytest.mark.parametrize("kind", [kernel, requests, residue], ids=["kernel", "requests", "residue"])
def test_nothing_works(node: TestNode, kind: object) -> None:
    found = list(kind.attempts(node))  # type: ignore[attr-defined]
    assert len(found) > 100
    assert {one.name: one.told for one in found if one.worked and one.name not in LEFT} == {}
