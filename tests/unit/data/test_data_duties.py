"""What a project's writer does beside changes, where it cannot be done."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from casemate.data.recent import RecentObjects
from casemate.data.work import ProjectDuties
from casemate.model.errors import UnavailableError


def test_that_upkeep_fails_is_said_once_until_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server of a hundred projects may be away for hours."""
    duties = ProjectDuties(RecentObjects(), lambda _: False, lambda _: None)
    work: Any = None
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            duties.upkeep_failed(UnavailableError("the server is away"))
        assert len(caplog.records) == 1
        duties.upkeep(work)
        duties.upkeep_failed(UnavailableError("the server is away"))
    assert len(caplog.records) == 2
