"""A host that cannot restore is told so for a reason, and never half."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from casemate.child.protocol import ChildConfig
from casemate.kernel import machines, tracing, userfault
from casemate.kernel.machines import AARCH64
from casemate.kernel.pagemap import Scanner
from casemate.restorer import probe, process


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


@pytest.mark.usefixtures("root")
def test_a_yama_that_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probe, "_YAMA", tmp_path)  # a folder cannot be read
    assert "does not say who may trace" in probe.restoring_problem()


class _Lacking(type(Path())):  # type: ignore[misc]
    """A path below which one of the kernel's files is as on an older one."""

    lacks = ""

    def stat(self, **given: bool) -> os.stat_result:
        found = super().stat(**given)
        return os.stat_result((*found[:6], 0, *found[7:])) if self.lacks in str(self) else found

    def exists(self, **given: bool) -> bool:
        return self.lacks not in str(self) and super().exists(**given)


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("lacks", "why"),
    [("/proc/self/fd", "count open files"), ("/children", "CONFIG_PROC_CHILDREN")],
)
def test_a_kernel_that_tells_less(monkeypatch: pytest.MonkeyPatch, lacks: str, why: str) -> None:
    monkeypatch.setattr(_Lacking, "lacks", lacks)
    monkeypatch.setattr(probe, "Path", _Lacking)
    monkeypatch.setattr(probe, "_unnoted", lambda: "")
    assert why in probe.restoring_problem()


def test_nobody_is_traced_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "current", lambda: AARCH64)
    with pytest.raises(machines.UnknownMachineError, match="aarch64"):
        tracing.seize(os.getppid(), 0)


def test_a_restorer_on_another_machine_says_so_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    supervised = SimpleNamespace(refuse=lambda failure: said.append(failure.message))
    monkeypatch.setattr(process, "Supervised", lambda config: supervised)
    monkeypatch.setattr(machines, "current", lambda: AARCH64)
    assert process.run(ChildConfig(control=0, heart=0, uid=None)) == 1
    assert "aarch64" in said[0]
