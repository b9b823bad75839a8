"""A host that cannot restore is told so for a reason, and never half."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from casemate.kernel import machines, userfault
from casemate.kernel.machines import AARCH64
from casemate.kernel.pagemap import Scanner
from casemate.restorer import probe


def test_this_host_is_probed() -> None:
    problem = probe.restoring_problem()
    assert problem == "" or len(problem) > 20


def test_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "current", lambda: AARCH64)
    assert "aarch64" in probe.restoring_problem()


def test_an_ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "ordinary user" in probe.restoring_problem()


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("scope", ["0", "1", "2", "3"])
def test_scopes_of_yama(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scope: str) -> None:
    (tmp_path / "scope").write_text(scope + "\n")
    monkeypatch.setattr(probe, "_YAMA", tmp_path / "scope")
    assert ("nobody" in probe.restoring_problem()) == (scope == "3")


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EPERM])
def test_a_kernel_without_asynchronous_notes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def create() -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(userfault, "create", create)
    assert "6.7" in probe.restoring_problem()


@pytest.mark.usefixtures("root")
def test_a_kernel_that_notes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scanner, "written", lambda *_: [])
    assert probe.restoring_problem()


@pytest.mark.usefixtures("root")
def test_a_kernel_without_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    def written(*_: object) -> None:
        raise OSError(errno.ENOTTY, "no such request")

    monkeypatch.setattr(Scanner, "written", written)
    assert "6.7" in probe.restoring_problem()
