"""A machine whose system calls are not known is refused by name; aarch64 is said to be unrun."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.kernel import machines
from casemate.maintenance import host_probes
from casemate.model.errors import ProtectionMissingError
from casemate.supervisor.serve import Node


def unknown() -> machines.Machine:
    return machines.machine_of("Linux", "riscv64", 8)


def test_a_node_does_not_start_on_a_machine_that_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machines, "current", unknown)
    nothing: Any = None
    with pytest.raises(ProtectionMissingError, match="Linux on riscv64") as caught:
        Node(nothing, nothing)
    assert caught.value.next_step


def test_the_doctor_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "current", unknown)
    finding = host_probes._architecture()
    assert not finding.holds
    assert "x86_64 or aarch64" in finding.next_step


@pytest.mark.parametrize(("machine", "unrun"), [(machines.X86_64, False), (machines.AARCH64, True)])
def test_the_doctor_tells_what_was_never_run(
    machine: machines.Machine, unrun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machines, "current", lambda: machine)
    finding = host_probes._architecture()
    assert finding.holds
    assert ("never run" in finding.detail) is unrun
