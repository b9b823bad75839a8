"""What processes of a node have used: read from the kernel, and told by call and by second."""

from __future__ import annotations

import mmap
import os
import time

import pytest
from bench.node_processes import Process, Used, between, cost, sum_of, used
from bench.processes import ProcessId


def test_a_process_is_seen_to_work_and_to_wait() -> None:
    before = used(os.getpid())
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    time.sleep(0.01)
    with mmap.mmap(-1, 8 << 20) as fresh:  # memory that was freed before may be had without a fault
        fresh[::4096] = bytes(len(fresh) // 4096)
    found = sum_of(between(before, used(os.getpid())).values())
    assert 0.02 <= found.seconds < 5
    assert found.waits >= 1
    assert found.faults >= 1


def test_what_was_used_is_divided_by_calls_and_new_processes_count_whole() -> None:
    gateway, vault = ProcessId(1, 1), ProcessId(2, 2)
    before = {gateway: Process("gateway", Used(1.0, 10, 4, 100))}
    after = {
        gateway: Process("gateway", Used(3.0, 30, 8, 300)),
        vault: Process("vault", Used(0.5, 2, 0, 0)),
    }
    found = between(before, after, 10)
    assert found == {"gateway": Used(0.2, 2.0, 0.4, 20.0), "vault": Used(0.05, 0.2, 0.0, 0.0)}
    assert sum_of(found.values()).seconds == pytest.approx(0.25)


def test_the_waits_of_who_has_ended_are_not_taken_off_those_of_others() -> None:
    zygote, ended, living = ProcessId(1, 1), ProcessId(2, 2), ProcessId(3, 3)
    before = {
        zygote: Process("sandboxes", Used(1.0, 5, 0, 10)),
        ended: Process("sandboxes", Used(2.0, 900, 90, 20)),
        living: Process("sandboxes", Used(3.0, 1000, 100, 30)),
    }
    after = {
        zygote: Process("sandboxes", Used(3.5, 5, 0, 35)),  # with what the ended one had: 2.5, 25
        living: Process("sandboxes", Used(4.0, 1200, 104, 40)),
    }
    found = between(before, after, 100)
    assert found == {"sandboxes": Used(0.015, 2.0, 0.04, 0.15)}


def test_two_rates_tell_what_comes_with_a_call_and_what_with_a_second() -> None:
    found = cost((50.0, 25_000 + 50 * 20.0), (250.0, 25_000 + 250 * 20.0))
    assert found.by_call == pytest.approx(20.0)
    assert found.by_second == pytest.approx(25_000)
    with pytest.raises(ValueError, match="the same"):
        cost((50.0, 1.0), (50.0, 2.0))
