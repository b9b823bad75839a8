"""Which entries of a journal need not be opened again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from casemate.recorder import noted
from casemate.recorder.noted import Noted


@given(
    size=st.integers(0, 50),
    kinds=st.lists(st.sampled_from(["Finding", "SignedIn", "BudgetSet"]), max_size=60),
)
def test_none_of_what_is_looked_for_is_passed_over(size: int, kinds: list[str]) -> None:
    wanted = {"Finding", "BudgetSet"}
    found = Noted(wanted, size)
    for place, kind in enumerate(kinds, size):
        found.note(place, kind)
    places = [place for place, kind in enumerate(kinds, size) if kind in wanted]
    for place in range(size, size + len(kinds) + 2):
        assert found.next_from(place) == next((one for one in places if one >= place), None)
    assert found.since == size


def test_what_is_forgotten_is_said_to_be_unknown(monkeypatch) -> None:
    monkeypatch.setattr(noted, "MAX_NOTED", 3)
    found = Noted({"Finding"}, 10)
    for place in range(10, 20, 2):
        found.note(place, "Finding")
    # Those at 10 and 12: who looks for what was before 13 has to open what is there.
    assert found.since == 13
    assert found.next_from(13) == 14
