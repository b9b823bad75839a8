"""Both drivers: what they write into a tree as the kernel makes it, and a real group where
possible."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.kernel import cgroups
from casemate.kernel.cgroups import (
    LegacyDriver,
    NoControlGroupError,
    SlotLimits,
    UnifiedDriver,
    open_driver,
)
from support.waiting import wait_for

LIMITS = SlotLimits(268_435_456, 1.5, 33)
UNIFIED = ("cgroup.procs", "cgroup.kill", "cgroup.events", "cgroup.subtree_control", "memory.max")
UNIFIED += ("memory.swap.max", "memory.current", "memory.events", "pids.max", "cpu.max")
UNIFIED += ("cpu.weight",)
UNIFIED += ("cgroup.controllers",)
LEGACY = {
    "memory": (
        "cgroup.procs",
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        "memory.kmem.tcp.limit_in_bytes",
        "memory.usage_in_bytes",
        "memory.oom_control",
    ),
    "cpu": ("cgroup.procs", "cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.shares"),
    "pids": ("cgroup.procs", "pids.max"),
    "unified": ("cgroup.procs", "cgroup.kill"),
}


class Tree:
    """Folders in which files appear with mkdir and vanish with rmdir, as in cgroupfs."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.missing: set[str] = set()
        """Files that this kernel does not have."""
        self.written: list[tuple[str, str]] = []
        make, remove, write = os.mkdir, os.rmdir, cgroups._write

        def mkdir(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            make(path, mode)
            for name in self._files(Path(path)):
                (Path(path) / name).touch()

        def rmdir(path: str, *, dir_fd: int | None = None) -> None:
            for name in self._files(Path(path)):
                (Path(path) / name).unlink(missing_ok=True)
            remove(path)

        def logged(path: str, text: str) -> None:
            write(path, text)
            self.written.append((str(Path(path).relative_to(root)), text))

        monkeypatch.setattr(os, "mkdir", mkdir)
        monkeypatch.setattr(os, "rmdir", rmdir)
        monkeypatch.setattr(cgroups, "_write", logged)

    def _files(self, path: Path) -> list[str]:
        if not path.is_relative_to(self.root):
            return []
        hierarchy = path.relative_to(self.root).parts[:1]
        names = LEGACY.get(hierarchy[0], UNIFIED) if hierarchy else ()
        return [name for name in names if name not in self.missing]

    def set(self, path: str, text: str) -> None:
        (self.root / path).write_text(text)

    def taken(self) -> list[tuple[str, str]]:
        """Return what was written since the last call."""
        written, self.written = self.written, []
        return written


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(tmp_path, monkeypatch)


@pytest.fixture
def unified(tree: Tree) -> UnifiedDriver:
    os.mkdir(tree.root / "v2")
    return UnifiedDriver(tree.root / "v2")


def legacy_of(tree: Tree, *, with_unified: bool = True) -> LegacyDriver:
    for name in LEGACY:
        os.mkdir(tree.root / name)
    roots = {name: tree.root / name for name in ("memory", "cpu", "pids")}
    return LegacyDriver(roots, tree.root / "unified" if with_unified else None)


# -- v2 ------------------------------------------------------------------------------------------


def test_a_group_hands_its_controllers_to_its_slots(tree: Tree, unified: UnifiedDriver) -> None:
    unified.create("z1")
    unified.create("z1/s0")
    unified.create("z1/s1")
    assert tree.taken() == [("v2/z1/cgroup.subtree_control", "+memory +cpu +pids")]
    assert sorted(p.name for p in (tree.root / "v2/z1").iterdir() if p.is_dir()) == ["s0", "s1"]


def test_a_slot_that_exists_is_not_taken_over(unified: UnifiedDriver) -> None:
    unified.create("z1/s0")
    with pytest.raises(FileExistsError):
        unified.create("z1/s0")


def test_limits_are_written_exactly(tree: Tree, unified: UnifiedDriver) -> None:
    unified.create("z1/s0")
    tree.taken()
    unified.limit("z1/s0", LIMITS)
    assert tree.taken() == [
        ("v2/z1/s0/memory.max", "268435456"),
        ("v2/z1/s0/memory.swap.max", "0"),
        ("v2/z1/s0/pids.max", "33"),
        ("v2/z1/s0/cpu.max", "150000 100000"),
    ]


@pytest.mark.parametrize(("share", "weight"), [(1.0, "100"), (0.5, "50"), (0.001, "1")])
def test_a_weight_is_a_part_of_the_kernel_s_default(
    tree: Tree, unified: UnifiedDriver, share: float, weight: str
) -> None:
    unified.create("z1/s0")
    tree.taken()
    unified.weigh("z1", share)
    assert tree.taken() == [("v2/z1/cpu.weight", weight)]


def test_a_kernel_without_swap_needs_no_swap_limit(tree: Tree, unified: UnifiedDriver) -> None:
    tree.missing = {"memory.swap.max"}
    unified.create("z1/s0")
    unified.limit("z1/s0", LIMITS)
    assert "v2/z1/s0/cpu.max" in dict(tree.taken())


@pytest.mark.parametrize("missing", ["memory.max", "pids.max", "cpu.max"])
def test_a_limit_that_cannot_be_set_is_an_error(
    tree: Tree, unified: UnifiedDriver, missing: str
) -> None:
    tree.missing = {missing}
    unified.create("z1/s0")
    with pytest.raises(FileNotFoundError):
        unified.limit("z1/s0", LIMITS)


def test_entering_and_killing(tree: Tree, unified: UnifiedDriver) -> None:
    unified.create("z1/s0")
    tree.taken()
    unified.enter("z1/s0", 4242)
    unified.kill("z1/s0")
    assert tree.taken() == [("v2/z1/s0/cgroup.procs", "4242"), ("v2/z1/s0/cgroup.kill", "1")]


@pytest.mark.parametrize(
    ("text", "empty"),
    [("populated 0\nfrozen 0\n", True), ("populated 1\nfrozen 0\n", False), ("", False)],
)
def test_a_slot_is_empty_only_if_the_kernel_says_so(
    tree: Tree, unified: UnifiedDriver, text: str, empty: bool
) -> None:
    unified.create("z1/s0")
    tree.set("v2/z1/s0/cgroup.events", text)
    assert unified.empty("z1/s0") is empty


def test_memory_is_read(tree: Tree, unified: UnifiedDriver) -> None:
    unified.create("z1/s0")
    tree.set("v2/z1/s0/memory.current", "1234567\n")
    tree.set("v2/z1/s0/memory.events", "low 0\noom 5\noom_kill 3\noom_group_kill 1\n")
    assert unified.memory_used("z1/s0") == 1_234_567
    assert unified.out_of_memory_kills("z1/s0") == 3
    tree.set("v2/z1/s0/memory.events", "low 0\n")
    assert unified.out_of_memory_kills("z1/s0") == 0


def test_removing_takes_the_slots_along(tree: Tree, unified: UnifiedDriver) -> None:
    for name in ("z1/s0", "z1/s1", "z2/s0"):
        unified.create(name)
    unified.remove("z1")
    assert [p.name for p in (tree.root / "v2").iterdir() if p.is_dir()] == ["z2"]
    unified.remove("z1")
    unified.remove("")
    assert not (tree.root / "v2").exists()


# -- v1 ------------------------------------------------------------------------------------------


def test_v1_groups_are_made_in_every_hierarchy(tree: Tree) -> None:
    legacy_of(tree).create("z1/s0")
    assert all((tree.root / name / "z1/s0").is_dir() for name in LEGACY)


def test_v1_limits_are_written_exactly_and_in_order(tree: Tree) -> None:
    driver = legacy_of(tree)
    driver.create("z1/s0")
    driver.limit("z1/s0", LIMITS)
    assert tree.taken() == [
        ("memory/z1/s0/memory.memsw.limit_in_bytes", "-1"),
        ("memory/z1/s0/memory.limit_in_bytes", "268435456"),
        ("memory/z1/s0/memory.memsw.limit_in_bytes", "268435456"),
        ("memory/z1/s0/memory.kmem.tcp.limit_in_bytes", "268435456"),
        ("pids/z1/s0/pids.max", "33"),
        ("cpu/z1/s0/cpu.cfs_period_us", "100000"),
        ("cpu/z1/s0/cpu.cfs_quota_us", "150000"),
    ]


@pytest.mark.parametrize(("share", "shares"), [(1.0, "1024"), (0.5, "512"), (0.0001, "2")])
def test_v1_shares_are_a_part_of_the_kernel_s_default(
    tree: Tree, share: float, shares: str
) -> None:
    driver = legacy_of(tree)
    driver.create("z1/s0")
    tree.taken()
    driver.weigh("z1", share)
    assert tree.taken() == [("cpu/z1/cpu.shares", shares)]


def test_v1_without_swap_accounting(tree: Tree) -> None:
    tree.missing = {"memory.memsw.limit_in_bytes"}
    driver = legacy_of(tree)
    driver.create("z1/s0")
    driver.limit("z1/s0", LIMITS)
    assert dict(tree.taken())["memory/z1/s0/memory.limit_in_bytes"] == "268435456"


@pytest.mark.parametrize(
    "missing", ["memory.limit_in_bytes", "pids.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"]
)
def test_v1_a_limit_that_cannot_be_set_is_an_error(tree: Tree, missing: str) -> None:
    tree.missing = {missing}
    driver = legacy_of(tree)
    driver.create("z1/s0")
    with pytest.raises(FileNotFoundError):
        driver.limit("z1/s0", LIMITS)


def test_v1_a_process_enters_every_hierarchy(tree: Tree) -> None:
    driver = legacy_of(tree)
    driver.create("z1/s0")
    driver.enter("z1/s0", 4242)
    assert sorted(tree.taken()) == sorted((f"{n}/z1/s0/cgroup.procs", "4242") for n in LEGACY)


def test_v1_kills_through_v2(tree: Tree) -> None:
    driver = legacy_of(tree)
    driver.create("z1/s0")
    driver.kill("z1/s0")
    assert tree.taken() == [("unified/z1/s0/cgroup.kill", "1")]


@pytest.mark.parametrize("with_unified", [True, False])
def test_without_cgroup_kill_each_process_is_killed(
    tree: Tree, with_unified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.missing = {"cgroup.kill"}
    driver = legacy_of(tree, with_unified=with_unified)
    driver.create("z1/s0")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    procs = tree.root / "memory/z1/s0/cgroup.procs"
    procs.write_text(f"{child.pid}\n999999999\n")
    kill = os.kill

    def kill_and_leave(pid: int, number: int) -> None:
        procs.write_text("")
        kill(pid, number)

    monkeypatch.setattr(os, "kill", kill_and_leave)
    driver.kill("z1/s0")
    assert child.wait(5) == -9
    assert driver.empty("z1/s0")


def test_v1_is_empty_when_no_process_is_listed(tree: Tree) -> None:
    driver = legacy_of(tree)
    driver.create("z1/s0")
    assert driver.empty("z1/s0")
    tree.set("memory/z1/s0/cgroup.procs", "12\n")
    assert not driver.empty("z1/s0")


def test_v1_memory_is_read(tree: Tree) -> None:
    driver = legacy_of(tree)
    driver.create("z1/s0")
    tree.set("memory/z1/s0/memory.usage_in_bytes", "77\n")
    tree.set("memory/z1/s0/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert (driver.memory_used("z1/s0"), driver.out_of_memory_kills("z1/s0")) == (77, 2)


def test_v1_removing_takes_every_hierarchy(tree: Tree) -> None:
    driver = legacy_of(tree)
    driver.create("z1/s0")
    driver.remove("z1")
    assert not any((tree.root / name / "z1").exists() for name in LEGACY)


# -- opening -------------------------------------------------------------------------------------


def delegated(tree: Tree, controllers: str, enabled: str = "") -> Path:
    parent = tree.root / "v2"
    os.mkdir(parent)
    tree.set("v2/cgroup.controllers", controllers)
    tree.set("v2/cgroup.subtree_control", enabled)
    return parent


def test_a_delegated_group_is_used_with_its_owner_moved_aside(tree: Tree) -> None:
    parent = delegated(tree, "cpuset cpu io memory pids", "cpu")
    driver = open_driver("casemate-1", parent)
    assert isinstance(driver, UnifiedDriver)
    assert tree.taken() == [
        ("v2/casemate-supervisor/cgroup.procs", str(os.getpid())),
        ("v2/cgroup.subtree_control", "+memory +pids"),
        ("v2/casemate-1/cgroup.subtree_control", "+memory +cpu +pids"),
    ]


@pytest.mark.parametrize("below_the_root", [False, True])
def test_what_a_container_sees_as_the_top_is_left_by_its_owner(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, below_the_root: bool
) -> None:
    """Only the root of all groups has no type, and may hold processes beside controllers."""
    parent = delegated(tree, "cpu memory pids", "cpu memory pids")
    monkeypatch.setattr(cgroups, "_MOUNTS", parent)
    if below_the_root:
        tree.set("v2/cgroup.type", "domain\n")
    open_driver("casemate-1", parent)
    moved = ("v2/casemate-supervisor/cgroup.procs", str(os.getpid()))
    assert (moved in tree.taken()) is below_the_root


def test_a_group_without_a_controller_is_refused_by_name(tree: Tree) -> None:
    parent = delegated(tree, "cpu io")
    with pytest.raises(NoControlGroupError, match="memory, pids"):
        open_driver("casemate-1", parent)
    assert tree.taken() == []


def test_a_name_that_is_taken_is_refused(tree: Tree) -> None:
    parent = delegated(tree, "cpu memory pids")
    open_driver("casemate-1", parent)
    with pytest.raises(NoControlGroupError):
        open_driver("casemate-1", parent)


# -- what is used -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"usage_usec 1234\nuser_usec 1\nsystem_usec 2\n", 1234),
        (b"nr_periods 3\nusage_usec 7\n", 7),
        (b"1234567\n", 1234),
        (b"", None),
        (b"user_usec 5\n", None),
        (b"usage_usec -5\n", None),
        (b"usage_usec x\n", None),
        (b"-1\n", None),
        (b"\xff\x00", None),
    ],
)
def test_what_a_group_used_is_read_or_not_known(text: bytes, expected: int | None) -> None:
    assert cgroups.cpu_microseconds(text) == expected


def test_peaks_are_read_where_the_kernel_has_them(tree: Tree, unified: UnifiedDriver) -> None:
    unified.create("z1")
    unified.create("z1/s0")
    assert unified.memory_peak("z1/s0") == 0  # before Linux 5.19
    tree.set("v2/z1/s0/memory.peak", "4096\n")
    assert unified.memory_peak("z1/s0") == 4096
    (tree.root / "v2/z1/s0/memory.peak").unlink()


def test_where_the_cpu_is_counted(tree: Tree, unified: UnifiedDriver) -> None:
    assert unified.cpu_file("z1/s0") == str(tree.root / "v2/z1/s0/cpu.stat")
    both, legacy = legacy_of(tree), LegacyDriver({"cpu": tree.root, "memory": tree.root}, None)
    assert both.cpu_file("z1/s0") == str(tree.root / "unified/z1/s0/cpu.stat")
    assert legacy.cpu_file("z1/s0") == str(tree.root / "z1/s0/cpuacct.usage")


# -- the real thing ------------------------------------------------------------------------------


@pytest.fixture
def real() -> Iterator[cgroups.Driver]:
    if os.geteuid() != 0:
        pytest.skip("needs the right to make control groups at the top of the hierarchy")
    driver = open_driver(f"casemate-test-{os.getpid()}")
    yield driver
    driver.remove("")


def test_a_real_group_limits_kills_and_goes(real: cgroups.Driver) -> None:
    real.create("z1")
    real.create("z1/s0")
    real.limit("z1/s0", SlotLimits(64 << 20, 0.5, 3))
    assert real.empty("z1/s0")
    reading, writing = os.pipe()
    code = (
        "import os, sys, time\n"
        "sys.stdin.read(1)\n"
        "made = 0\n"
        "try:\n"
        "    while os.fork(): made += 1\n"
        "    time.sleep(60)\n"
        "except BlockingIOError:\n"
        "    print(made, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=reading, stdout=subprocess.PIPE, text=True
    )
    os.close(reading)
    try:
        real.enter("z1/s0", child.pid)
        os.write(writing, b"x")
        assert child.stdout is not None
        assert child.stdout.readline() == "2\n"
        assert not real.empty("z1/s0")
        assert real.memory_used("z1/s0") >= 0
        assert real.out_of_memory_kills("z1/s0") == 0
        real.kill("z1/s0")
        assert child.wait(5) == -9
        wait_for(lambda: real.empty("z1/s0"))
        real.remove("z1")
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        os.close(writing)


def test_a_real_group_kills_for_want_of_memory_and_counts_it(real: cgroups.Driver) -> None:
    real.create("z2")
    real.create("z2/s0")
    real.limit("z2/s0", SlotLimits(32 << 20, 1.0, 8))
    code = "import sys; sys.stdin.read(1); b = bytearray(256 << 20); print(len(b))"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        real.enter("z2/s0", child.pid)
        child.communicate(b"x", timeout=20)
        assert child.returncode == -9
        wait_for(lambda: real.out_of_memory_kills("z2/s0") >= 1)
        wait_for(lambda: real.empty("z2/s0"))
        real.remove("z2")
    finally:
        child.kill()
        child.wait()


def test_a_real_group_counts_whom_nobody_waits_for(real: cgroups.Driver) -> None:
    """A grandchild, and a process that is killed: neither is in any sum of a parent's."""
    real.create("z3")
    real.create("z3/s0")
    real.limit("z3/s0", SlotLimits(64 << 20, 2.0, 8))
    code = (
        "import os, sys, time\n"
        "sys.stdin.read(1)\n"
        "def burn():\n"
        "    end = time.thread_time() + 0.1\n"
        "    while time.thread_time() < end: pass\n"
        "if not os.fork():\n"
        "    if not os.fork(): burn(); os.kill(os.getpid(), 9)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "burn()\n"
        "time.sleep(60)\n"
    )
    file = Path(real.cpu_file("z3/s0"))
    before = cgroups.cpu_microseconds(file.read_bytes())
    if before is None:
        pytest.skip("this host counts nothing")
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        real.enter("z3/s0", child.pid)
        assert child.stdin is not None
        child.stdin.write(b"x")
        child.stdin.close()
        wait_for(lambda: (cgroups.cpu_microseconds(file.read_bytes()) or 0) - before >= 200_000, 30)
        assert real.memory_peak("z3/s0") > 0
        real.kill("z3/s0")
        child.wait(5)
        wait_for(lambda: real.empty("z3/s0"))
        real.remove("z3")
    finally:
        child.kill()
        child.wait()
