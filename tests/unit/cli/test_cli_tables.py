"""Tables on a narrow terminal: columns give way, no id is broken or cut."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.cli.tables import Table

INVOCATION = "inv_" + "0123456789abcdef01234567"
ERROR = "err_" + "89abcdef0123456701234567"


def lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    below: Sequence[str] = (),
    width: int = 80,
) -> list[str]:
    return [line for line, _ in Table(columns, rows, below).lines(width)]


def test_what_fits_is_one_line_a_row() -> None:
    rows = [["cart", "v1"], ["mail", "v22"]]
    assert lines(("function", "live"), rows, ["live"]) == [
        "function  live",
        "cart      v1",
        "mail      v22",
    ]


def test_what_is_named_goes_below_where_it_does_not_fit() -> None:
    columns = ("started", "function", "outcome", "id", "error")
    rows = [["2026-01-31 12:00:00", "shop/thumbnail@12", "handler-error", INVOCATION, ERROR]]
    assert lines(columns, rows, ["id", "error"]) == [
        "started              function           outcome",
        "2026-01-31 12:00:00  shop/thumbnail@12  handler-error",
        f"    id {INVOCATION}  error {ERROR}",
    ]
    assert len(lines(columns, rows, ["id", "error"], width=200)) == 2


def test_what_stands_at_the_right_goes_below_where_that_is_not_enough() -> None:
    columns = ("id", "name", "last used", "due", "rights")
    rows = [["token:9b93f3051c53dc6c", "clerk", "2026-11-30", "2027-02-28", "reads"]]
    assert lines(columns, rows, ["rights"], width=44) == [
        "id                      name   last used",
        "token:9b93f3051c53dc6c  clerk  2026-11-30",
        "    due 2027-02-28  rights reads",
    ]
    assert lines(columns, rows, ["rights"], width=40)[0] == "id         token:9b93f3051c53dc6c"


def test_what_does_not_fit_at_all_becomes_a_list() -> None:
    shown = lines(("trigger", "error"), [["t" * 50, "it failed " * 12], ["u", ""]], width=60)
    assert shown[0] == "trigger  " + "t" * 50
    assert shown[1].startswith("error    it failed it failed")
    assert all(line.startswith(" " * 9) for line in shown[2:-2])
    assert shown[-2:] == ["", "trigger  u"]


WORDS = st.text("abc_/:0123456789", min_size=1, max_size=45)


@given(
    st.lists(
        st.lists(st.lists(WORDS, max_size=8).map(" ".join), min_size=4, max_size=4), min_size=1
    ),
    st.sets(st.sampled_from(["a", "b", "c", "d"])),
    st.integers(40, 120),
)
def test_every_word_stays_whole_and_lines_keep_to_the_width(
    rows: list[list[str]], below: set[str], width: int
) -> None:
    shown = lines(("a", "b", "c", "d"), rows, sorted(below), width)
    words = {word for line in shown for word in line.split()}
    for row in rows:
        for cell in row:
            assert set(cell.split()) <= words
    longest = max((len(w) for row in rows for cell in row for w in cell.split()), default=0)
    assert all(len(line) <= max(width, longest + 20) for line in shown)


@pytest.mark.parametrize("width", [1, 10, 39])
def test_a_width_that_fits_nothing_ends_all_the_same(width: int) -> None:
    assert INVOCATION in "\n".join(lines(("id", "why"), [[INVOCATION, "no"]], ["why"], width))


def test_a_word_that_only_the_indent_makes_too_wide_is_indented_less() -> None:
    key = f"reports/2026-11-30/{'x' * 55}"
    shown = lines(("key", "content type"), [(key, "text/csv")], ["content type"], width=76)
    assert shown == [f"{'KEY':74}".rstrip().lower(), key, "    content type text/csv"]
    shown = lines(("key", "a long name of a column"), [(key, key)], width=76)
    assert all(len(line) <= 76 for line in shown)
    assert [line.strip() for line in shown].count(key) == 2, "it is whole, and nothing beside it"
