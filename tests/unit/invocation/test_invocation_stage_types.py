"""A stage takes the type of the one before it and no other: none can be skipped."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from casemate.admission import Admission, Catalogue
from casemate.dispatch import Dispatcher
from casemate.invocation.parse import parse
from casemate.model.invocation import Outcome
from casemate.model.path import Finished
from casemate.seal import Seal
from support.core import MemoryStore, PlainPolicy, TwoTokens, raw, request

RAW = raw()
REQUEST = request()
FINISHED = Finished(outcome=Outcome.OK)


@pytest.mark.parametrize("wrong", [REQUEST, FINISHED, None])
def test_stage_1_takes_raw_input_only(wrong: Any) -> None:
    with pytest.raises(TypeError):
        parse(wrong)


@pytest.mark.parametrize("wrong", [RAW, FINISHED, None])
def test_stage_2_takes_a_request_only(wrong: Any) -> None:
    with pytest.raises(TypeError):
        Admission(Catalogue(), TwoTokens(), PlainPolicy(), MemoryStore().deny).admit(wrong)


@pytest.mark.parametrize("wrong", [RAW, REQUEST, FINISHED, None])
def test_stage_3_takes_what_was_admitted_only(wrong: Any) -> None:
    dispatcher = Dispatcher.__new__(Dispatcher)
    with pytest.raises(TypeError):
        asyncio.run(dispatcher.place(wrong))


@pytest.mark.parametrize("wrong", [RAW, REQUEST, None])
def test_stage_5_takes_what_is_finished_only(wrong: Any) -> None:
    with pytest.raises(TypeError):
        Seal(MemoryStore()).close(wrong)
