"""What is logged of an error: its trace only where nobody has foreseen it."""

from __future__ import annotations

import pytest

from casemate.api.problems import response_to
from casemate.store.errors import StoreProofError


@pytest.mark.parametrize(("step", "has_trace"), [("Bring it back.", False), (None, True)])
def test_what_says_what_to_do_is_logged_without_where_it_was_raised(
    caplog: pytest.LogCaptureFixture, step: str | None, has_trace: bool
) -> None:
    try:
        raise StoreProofError("It is not believed.", next_step=step)
    except StoreProofError as error:
        assert response_to(error).status_code == 500
    (record,) = caplog.records
    assert "It is not believed." in record.message
    assert bool(record.exc_info and record.exc_info[0]) is has_trace
