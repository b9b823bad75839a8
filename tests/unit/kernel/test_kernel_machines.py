"""The filters of both machines decide alike, call by call, though only one of them runs here.

aarch64 is assembled and evaluated, never run: what its kernel makes of it is not tested.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.kernel import linux, machines, seccomp
from casemate.kernel.machines import AARCH64, MACHINES, X86_64, Machine, UnknownMachineError
from casemate.kernel.system_calls import (
    ALLOWED,
    CONDITIONAL,
    FORBIDDEN,
    PROBED,
    SANDBOX_MAKING,
    name_of,
    numbered,
)
from support.bpf import ALLOW, ERRNO, KILL, NOTIFY, Decisions, decide, decoded, evaluate

PROGRAMS: dict[str, Callable[[Machine], bytes]] = {
    "zygote": lambda machine: seccomp.zygote_program(machine=machine),
    "zygote without a listener": lambda m: seccomp.zygote_program(notify=False, machine=m),
    "instance": seccomp.instance_program,
    "gateway": seccomp.gateway_program,
    "offline": seccomp.offline_program,
    "accepting": seccomp.accepting_program,
    "egress": seccomp.egress_program,
}
DECODED = {
    (name, machine.name): decoded(make(machine))
    for name, make in PROGRAMS.items()
    for machine in MACHINES
}
BOTH = sorted(set(X86_64.calls) & set(AARCH64.calls))
VALUES = (0, 1, 2, 3, 10, 12, 16, 17, 22, 28, 0x5412, 0x541C, 0x10000, 0x80001, 0x40182103)
VALUES += (linux.INSTANCE_CLONE_FLAGS, seccomp.NAMESPACE_FLAGS, 0x3D0F00, 1 << 32, 2**64 - 1)
"""Those that a rule looks for, and others."""


ALIKE = {key: Decisions(program) for key, program in DECODED.items()}


def decisions(program: str, name: str, *args: int) -> list[int]:
    """Return what each machine decides."""
    return [ALIKE[program, m.name].of(m.calls[name], args, m.audit_architecture) for m in MACHINES]


def evaluated(program: str, name: str, *args: int) -> list[int]:
    """Return the same, each evaluated in full."""
    return [decide(DECODED[program, m.name], m, name, *args) for m in MACHINES]


# -- the same by name ------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_both_machines_decide_alike(program: str) -> None:
    """Every call that both have, with what a rule looks for in every place that it looks at."""
    for name in BOTH:
        alike = [(value,) * 6 for value in VALUES]
        mixed = itertools.product(VALUES, repeat=3) if name in CONDITIONAL else ()
        for args in (*alike, *mixed):
            [here, there] = decisions(program, name, *args)
            assert here == there, (name, args)


@given(
    program=st.sampled_from(sorted(PROGRAMS)),
    name=st.sampled_from(sorted(CONDITIONAL)),
    args=st.lists(st.integers(0, 2**64 - 1) | st.sampled_from(VALUES), min_size=6, max_size=6),
)
def test_whatever_the_arguments(program: str, name: str, args: list[int]) -> None:
    [here, there] = decisions(program, name, *args)
    assert here == there
    assert [here, there] == evaluated(program, name, *args)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
@pytest.mark.parametrize("name", ["zygote", "zygote without a listener"])
def test_the_tables_decide_on_each_machine(machine: Machine, name: str) -> None:
    """Whatever else has a number there does not exist, now or with a newer kernel."""
    silent = name != "zygote"
    expected = dict.fromkeys(range(1024), ERRNO | 38)
    expected |= dict.fromkeys(numbered(ALLOWED, machine).values(), ALLOW)
    for call, number in numbered(FORBIDDEN, machine).items():
        expected[number] = ERRNO | 1 if silent or call in PROBED else NOTIFY
    for number in numbered(CONDITIONAL, machine).values():
        del expected[number]
    program = DECODED[name, machine.name]
    for number, action in expected.items():
        assert evaluate(program, number, (), machine.audit_architecture) == action, number


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_gateway_makes_no_sandbox_on_either(machine: Machine) -> None:
    program = DECODED["gateway", machine.name]
    for name in (*SANDBOX_MAKING, "unshare", "move_mount", "execve", "execveat", "seccomp"):
        assert decide(program, machine, name) == ERRNO | 1, name
    assert decide(program, machine, "clone3") == ERRNO | 38
    assert decide(program, machine, "clone", linux.CLONE_NEWUSER) == ERRNO | 1
    assert decide(program, machine, "openat") == ALLOW


@pytest.mark.parametrize("program", PROGRAMS)
def test_calls_by_the_numbers_of_another_machine_are_killed(program: str) -> None:
    """`ptrace` of x86_64 is `nanosleep` of aarch64: a number alone says nothing."""
    others = {
        "x86_64": (AARCH64.audit_architecture, 0x40000003, 0x40000028),
        "aarch64": (X86_64.audit_architecture, 0x40000003, 0x40000028),
    }
    for machine in MACHINES:
        for architecture in (*others[machine.name], 0, machine.audit_architecture ^ 1):
            for number in {*machine.calls.values(), 0x40000000}:
                code = DECODED[program, machine.name]
                assert evaluate(code, number, (), architecture) == KILL


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_numbers_that_no_call_has_are_killed(program: str, machine: Machine) -> None:
    for number in (0x40000000, 0x40000000 | machine.calls["ptrace"], 0x7FFFFFFF, 0x80000000, -1):
        code = DECODED[program, machine.name]
        assert evaluate(code, number, (), machine.audit_architecture) == KILL


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_kernel_would_take_it(program: str, machine: Machine) -> None:
    code = DECODED[program, machine.name]
    assert 0 < len(code) <= 4096
    assert code[-1][0] == 0x06
    for place, (operation, if_true, if_false, k) in enumerate(code):
        left = len(code) - place - 1
        assert operation in (0x20, 0x06, 0x05, 0x15, 0x25, 0x35, 0x45, 0x54)
        if operation == 0x20:
            assert k % 4 == 0 and k < 64 and left > 0
        elif operation not in (0x06, 0x54):
            assert (k if operation == 0x05 else max(if_true, if_false)) < left


def test_a_wrong_number_would_be_seen() -> None:
    """The comparison by name is one: with one number changed the decisions differ."""
    calls = AARCH64.calls | {"ptrace": AARCH64.calls["read"], "read": AARCH64.calls["ptrace"]}
    swapped = machines.Machine(
        name="aarch64",
        audit_architecture=AARCH64.audit_architecture,
        calls=calls,
        clone_thread_id_last=True,
    )
    program = decoded(seccomp.zygote_program(machine=swapped))
    assert decide(program, AARCH64, "ptrace") == ALLOW
    assert decisions("zygote", "ptrace") == [NOTIFY, NOTIFY]


# -- names and machines ----------------------------------------------------------------------------


def test_every_name_is_a_call_of_some_machine() -> None:
    known = set(X86_64.calls) | set(AARCH64.calls)
    assert {*ALLOWED, *FORBIDDEN, *CONDITIONAL} <= known
    assert set(CONDITIONAL) <= set(BOTH), "the filters ask for these by name"
    assert set(SANDBOX_MAKING) <= set(FORBIDDEN)
    assert set(SANDBOX_MAKING) <= set(BOTH)
    assert set(PROBED) <= set(FORBIDDEN)
    assert not set(ALLOWED) & set(FORBIDDEN)


def test_numbers_that_everybody_knows() -> None:
    for machine, known in (
        (X86_64, {"read": 0, "open": 2, "clone": 56, "execve": 59, "seccomp": 317}),
        (AARCH64, {"read": 63, "openat": 56, "clone": 220, "execve": 221, "seccomp": 277}),
    ):
        assert known.items() <= machine.calls.items()
        numbers = list(machine.calls.values())
        assert len(numbers) == len(set(numbers))
    # Calls that came after the tables were made one have the same number everywhere.
    for name in ("pidfd_send_signal", "clone3", "landlock_create_ruleset", "futex_wake"):
        assert X86_64.calls[name] == AARCH64.calls[name]
    assert not {"open", "fork", "stat"} & set(AARCH64.calls)


def test_names_are_those_of_the_machine() -> None:
    assert name_of(101, X86_64) == "ptrace"
    assert name_of(101, AARCH64) == "nanosleep"
    assert name_of(117, AARCH64) == "ptrace"
    assert name_of(999, AARCH64) == "syscall-999"
    assert [seccomp.refusal(m.calls["execve"], m) for m in MACHINES] == [13, 13]
    assert [seccomp.refusal(m.calls["socket"], m) for m in MACHINES] == [97, 97]
    assert seccomp.refusal(59, AARCH64) == seccomp.refusal(221, X86_64) == 1


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_machine_is_known_by_its_name(machine: Machine) -> None:
    assert machines.machine_of("Linux", machine.name, 8) is machine


@pytest.mark.parametrize(
    ("system", "name", "pointer"),
    [
        ("Linux", "riscv64", 8),
        ("Linux", "aarch64_be", 8),
        ("Linux", "i686", 4),
        ("Linux", "x86_64", 4),
        ("Darwin", "x86_64", 8),
        ("Linux", "", 8),
    ],
)
def test_any_other_is_refused_and_named(system: str, name: str, pointer: int) -> None:
    with pytest.raises(UnknownMachineError) as caught:
        machines.machine_of(system, name, pointer)
    assert f"{system} on {name}" in str(caught.value)
    assert "x86_64 and aarch64" in str(caught.value)


def test_nothing_is_called_on_a_machine_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> Machine:
        raise UnknownMachineError("no such machine")

    for module in (machines, seccomp):
        monkeypatch.setattr(module, "current", unknown)
    assert linux.landlock_abi() == 0
    for call in (
        seccomp.zygote_program,
        seccomp.instance_program,
        seccomp.gateway_program,
        seccomp.offline_program,
        seccomp.accepting_program,
        seccomp.egress_program,
        linux.Cloner,
        lambda: linux.clone_tree("/"),
        lambda: linux.install_filter(b""),
        lambda: seccomp.refusal(1),
    ):
        with pytest.raises(UnknownMachineError):
            call()


# -- clone(2) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("machine", "place"), [(X86_64, 4), (AARCH64, 5)])
def test_the_child_s_thread_id_goes_where_the_machine_takes_it(
    machine: Machine, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags, stack, the parent's thread id, then by machine; `place` counts the number too."""
    asked: list[tuple[object, ...]] = []

    class Library:
        prctl = linux._libc.prctl

        @staticmethod
        def syscall(*args: object) -> int:
            asked.append(args)
            return 4711

    monkeypatch.setattr(machines, "current", lambda: machine)
    monkeypatch.setattr(linux, "_libc", Library)
    assert linux.Cloner().clone(0) == 4711
    [args] = asked
    assert args[0] == machine.calls["clone"]
    assert len(args) == 6
    assert [n for n, value in enumerate(args) if value is not None] == [0, 1, place]
