"""What is told of what evidence does not hold is bounded, as all that is kept of archives is."""

from __future__ import annotations

import msgspec

from casemate.api.evidence_gathering import MAX_LEFT_OUT, MAX_SENTENCE, _Gathering
from casemate.evidence.keeping import MAX_KEPT
from casemate.operations.evidence import EvidenceView
from casemate.store.sqlite.policies import MAX_VALUE


def test_what_is_left_out_is_told_in_bounds() -> None:
    found = _Gathering()
    for number in range(1000):
        found.left_out.append(f"functions/{'p' * 63}/{'f' * 63}/{number}.json: {'x' * 400}")
    told = found.told()
    assert len(told) == MAX_LEFT_OUT + 1 and told[-1] == "and 950 more"
    assert max(map(len, told)) == MAX_SENTENCE
    view = EvidenceView(
        id="evi_" + "0" * 16,
        incident="inc_" + "0" * 16,
        sha256="0" * 64,
        size=1,
        files=1,
        at=1.0,
        by="token:" + "f" * 64,
        left_out=told,
    )
    # However ids fall to the parts of what is kept, none is more than a value of the store holds.
    assert MAX_KEPT * len(msgspec.json.encode(view)) < MAX_VALUE


def test_what_is_short_is_told_whole() -> None:
    found = _Gathering()
    found.left_out.append("logs.json: none")
    assert found.told() == ("logs.json: none",)
