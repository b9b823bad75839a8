"""Ids of invocations: in the order of time, whatever became of them."""

from __future__ import annotations

import os
import time

from casemate.model.invocation import Outcome
from casemate.model.path import Finished
from casemate.seal import Seal
from casemate.seal.ids import new_invocation_id
from support.core import MemoryStore, raw


def test_ids_are_in_the_order_of_time_and_differ_within_a_millisecond() -> None:
    ids = [new_invocation_id() for _ in range(500)]
    assert len({i[16:] for i in ids}) == 500
    times = [int(i[4:16], 16) for i in ids]
    assert times == sorted(times)
    assert abs(times[-1] - time.time() * 1000) < 10_000
    assert all(i.startswith("inv_") and len(bytes.fromhex(i[4:])) == 12 for i in ids)


def test_what_was_refused_before_it_was_parsed_is_in_that_order_too() -> None:
    store = MemoryStore()
    before = new_invocation_id()
    time.sleep(0.002)
    for _ in range(3):
        Seal(store).close(Finished(outcome=Outcome.INVALID, raw=raw()))  # type: ignore[arg-type]
    time.sleep(0.002)
    ids = [record.id for record, _, _ in store.records]
    assert len(set(ids)) == 3
    assert all(before[:16] < one[:16] < new_invocation_id()[:16] for one in ids)


def test_an_id_that_was_given_already_is_kept() -> None:
    store = MemoryStore()
    Seal(store).close(Finished(outcome=Outcome.INVALID, raw=raw(id="inv_given")))  # type: ignore[arg-type]
    [(record, _, _)] = store.records
    assert record.id == "inv_given"


def test_no_id_is_given_out_twice_be_it_after_a_fork() -> None:
    ids = {new_invocation_id()[16:] for _ in range(2000)}
    assert len(ids) == 2000
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writing, new_invocation_id()[16:].encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as told:
        assert told.read() not in {new_invocation_id()[16:] for _ in range(600)}
