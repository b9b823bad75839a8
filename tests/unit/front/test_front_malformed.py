"""What is no request is answered with the id of an error that is on record."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from casemate.front import nowhere
from casemate.model.http import HttpResponse
from support.core import MemoryStore
from support.front import Front

REFUSED = (400, 405, 408, 413, 414, 417, 421, 429, 431, 501, 505)
FAULTS = (500, 503)


async def take(*_: Any) -> HttpResponse:
    raise AssertionError


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def front(store: MemoryStore) -> Front:
    return Front(take, store=store)


def told(answer: HttpResponse) -> str:
    found = json.loads(bytes(answer.body))
    assert found["status"] == answer.status
    assert re.fullmatch("err_[0-9a-f]{24}", found["error_id"])
    return found["error_id"]


@pytest.mark.parametrize("status", REFUSED)
def test_it_is_on_record_once_for_all_alike(front: Front, store: MemoryStore, status: int) -> None:
    ids = {told(front.nowhere.malformed(status, "No.", None)) for _ in range(50)}
    ((_, error, _),) = store.records
    assert error is not None and {error.id} == ids and error.message == "No."
    assert told(front.nowhere.malformed(status, "Nor this.", None)) not in ids


@pytest.mark.parametrize("status", FAULTS)
def test_a_fault_of_the_node_has_the_id_that_its_log_names(
    front: Front, store: MemoryStore, status: int
) -> None:
    error_id = "err_" + "a" * 24
    assert told(front.nowhere.malformed(status, "No.", error_id)) == error_id
    told(front.nowhere.malformed(status, "No.", None))
    assert not store.records


def test_what_is_held_for_those_alike_is_bounded(
    front: Front, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3 * nowhere._MAX_ALIKE):
        told(front.nowhere.malformed(400, f"No {number}.", None))
    assert len(front.nowhere._malformed) <= nowhere._MAX_ALIKE
    monkeypatch.setattr(nowhere, "_ALIKE_SECONDS", 0.0)
    first = told(front.nowhere.malformed(400, "Later.", None))
    assert told(front.nowhere.malformed(400, "Later.", None)) != first
