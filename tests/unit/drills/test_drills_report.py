"""What is said of a run, and which runs are kept."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from casemate.drills import kept
from casemate.drills.drill import Outcome, Run, Way
from casemate.drills.kept import KeptRuns
from casemate.drills.report import chart, markdown, summary
from casemate.model.errors import NotFoundError


def outcome(id: str = "x", problem: str = "", **rest: object) -> Outcome:
    known: dict[str, object] = {
        "id": id,
        "title": f"title of {id}",
        "way": Way.CALL,
        "risk": 2,
        "technique": "T1611",
        "prevented": not problem,
        "detected": True,
        "detected_seconds": 0.25,
        "problem": problem,
    }
    return msgspec.convert({**known, **rest}, Outcome)


def run(id: str = "r1", at: float = 1.0, *outcomes: Outcome, **rest: object) -> Run:
    known: dict[str, object] = {
        "id": id,
        "node": "http://node",
        "project": "p",
        "at": at,
        "seconds": 1.0,
        "outcomes": outcomes or (outcome(),),
    }
    return msgspec.convert({**known, **rest}, Run, from_attributes=True)


def test_a_run_has_passed_where_all_went_as_it_must() -> None:
    assert run().passed
    assert not run("r", 1.0, outcome(problem="no")).passed
    assert not run(lost_calls=1).passed
    assert not run(left="a function").passed
    assert not msgspec.structs.replace(run(), outcomes=()).passed


def test_the_summary_counts_by_way() -> None:
    rows = summary(run("r", 1.0, outcome(), outcome("y", "got out"), outcome("z", way=Way.ERROR)))
    assert [row[:5] for row in rows] == [
        ("errors that would tell", "1", "1", "1", "0"),
        ("code that runs", "2", "1", "2", "1"),
    ]


def test_the_document_names_what_failed_and_stays_a_table() -> None:
    text = markdown(
        run("r", 1.0, outcome("a|b", "it | <script>\ngot out"), findings={"mount-tried": 2}),
        [run(), run("r", 1.0, outcome(problem="no"))],
    )
    assert "a\\|b" in text and "it \\| &lt;script&gt;\\\\x0agot out" in text
    assert "| mount-tried | 2 |" in text
    assert "<script>" not in text
    assert chart([run(), run("r", 1.0, outcome(problem="no"))]) in text


def test_runs_are_kept_the_newest_and_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_RUNS", 3)
    runs = KeptRuns(tmp_path / "state" / "drills")
    with pytest.raises(NotFoundError, match="There is no run"):
        runs.get(None)
    for number in range(5):
        runs.keep(run(f"r{number}", 1_700_000_000.0 + number))
    assert [each.id for each in runs.all()] == ["r2", "r3", "r4"]
    assert runs.get(None).id == "r4" and runs.get("r3").id == "r3"
    with pytest.raises(NotFoundError, match="no run r0"):
        runs.get("r0")
    (tmp_path / "state" / "drills" / "1700000009-x.json").write_text("rubbish")
    assert [each.id for each in runs.all()] == ["r3", "r4"]
    assert oct((tmp_path / "state" / "drills").stat().st_mode)[-3:] == "700"


def test_the_newest_is_the_last_that_was_made_though_the_clock_was_set_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else runs of a wrong clock would push out all of the right one, and be shown for ever."""
    monkeypatch.setattr(kept, "MAX_RUNS", 3)
    runs = KeptRuns(tmp_path)
    wrong, right = 4_000_000_000.0, 1_800_000_000.0
    for number, at in enumerate((wrong, wrong + 1, wrong + 2, right, right + 60)):
        runs.keep(run(f"a{number}", at))
    assert [each.id for each in runs.all()] == ["a2", "a3", "a4"]
    assert runs.get(None).id == "a4" and runs.get(None).at == right + 60
