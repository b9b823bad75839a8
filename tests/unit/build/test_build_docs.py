"""The pages on builds and runtimes say what the code does."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from casemate.build import end_of_life
from casemate.build.ignore import DEFAULT_PATTERNS
from casemate.build.interpreters import WARN_DAYS
from casemate.build.uv_process import _PASSED
from casemate.model.function import SUPPORTED_PYTHONS

DOCS = Path(__file__).parents[3] / "docs/reference"


def test_the_table_of_runtimes_is_that_of_the_code() -> None:
    page = (DOCS / "runtimes.md").read_text()
    for minor in SUPPORTED_PYTHONS:
        last, source = end_of_life(minor)
        first_warning = last - timedelta(days=WARN_DAYS - 1)
        assert f"| `{minor}` | {last} | {source} | {first_warning} |" in page


def test_what_is_left_out_and_passed_on_is_listed() -> None:
    page = (DOCS / "build.md").read_text()
    tools = tuple(f".{n}/" for n in ("idea", "vscode", "tox", "nox", "hypothesis"))
    for pattern in DEFAULT_PATTERNS:
        if pattern.endswith("_cache/") or pattern in tools:
            continue
        assert f"`{pattern}`" in page
    for variable in _PASSED:
        assert f"`{variable.upper()}`" in page
