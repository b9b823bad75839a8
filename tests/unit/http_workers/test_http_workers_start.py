"""How many processes a host gets, and what may be asked for."""

from __future__ import annotations

import pytest

from casemate.cli.commands.serve import _gateways
from casemate.cli.errors import UsageError
from casemate.http_workers.start import gateways_for
from casemate.model.processes import MOST_GATEWAYS


def test_from_four_cores_on_others_take_connections() -> None:
    found = {cores: gateways_for(cores, tls=True) for cores in (1, 2, 3, 4, 7, 8, 12, 16, 64)}
    assert found == {1: 1, 2: 1, 3: 1, 4: 2, 7: 2, 8: 3, 12: 4, 16: 4, 64: 4}


def test_without_tls_there_is_nothing_to_spare() -> None:
    assert {gateways_for(cores, tls=False) for cores in (1, 4, 64)} == {1}


def test_a_number_may_be_named() -> None:
    assert [_gateways(text) for text in ("auto", "1", "2", str(MOST_GATEWAYS))] == [
        None,
        1,
        2,
        MOST_GATEWAYS,
    ]


@pytest.mark.parametrize("text", ["0", "-1", "17", "two", "", "1.5", "\u0663", "9" * 50])
def test_what_is_no_number_of_processes_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected auto or a number from 1 to 16"):
        _gateways(text)
