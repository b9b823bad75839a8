"""Handlers by someone who had not seen the sink guard: it stops their attacks and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from support.blind import Case, cases, run

_EACH = 11
"""One of so many cases is run in the ordinary run."""


def _holds(folder: Path, chosen: Sequence[Case]) -> None:
    found = [o for o in run(folder, chosen) if o.outcome != "missing"]
    wrong = "\n".join(f"{o.case.name}: {o.outcome}: {o.result}" for o in found if not o.right)
    attacks = [o.right for o in found if o.case.expected == "blocked"]
    harmless = [o.right for o in found if o.case.expected == "passes"]
    assert sum(attacks) >= 0.97 * len(attacks), wrong
    assert sum(harmless) >= 0.995 * len(harmless), wrong
    assert len(found) > len(chosen) * 0.8
    assert not [o for o in found if o.outcome == "crashed"]


def test_a_sample(tmp_path: Path) -> None:
    chosen = list(cases())[::_EACH]
    assert len({case.sink for case in chosen}) >= 13
    _holds(tmp_path, chosen)


@pytest.mark.storm
def test_all(tmp_path: Path) -> None:
    chosen = list(cases())
    assert len(chosen) > 600
    _holds(tmp_path, chosen)
