"""A host without control groups is told of with what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.model.errors import ProtectionMissingError
from casemate.sandbox.cgroups import open_driver


def test_a_group_without_a_controller_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu io\n")
    with pytest.raises(ProtectionMissingError, match=r"No control group .* memory, pids") as caught:
        open_driver("casemate-1", tmp_path)
    assert "Delegate=yes" in (caught.value.next_step or "")
    assert not (tmp_path / "casemate-1").exists()
