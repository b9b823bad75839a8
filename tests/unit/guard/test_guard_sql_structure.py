"""The judgement: is data more than one literal, one number or a name that the code chose?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.origin import Origin, Span
from casemate.guard.sql import structure
from casemate.guard.sql.structure import judge
from casemate.guard.sql.tokens import Dialect
from casemate.guard.verdict import Verdict

ORIGIN = Origin("event", "/v")
VALUES = st.text(alphabet=st.sampled_from("ab1 '\"`\\$/*-#;()=,\n"), min_size=1, max_size=12)


def verdict(
    template: str,
    *values: str,
    dialect: Dialect = Dialect.SQLITE,
    exact: bool = True,
    checked: str = "",
) -> Verdict | None:
    """Judge `template` with `values` at its marks `@`."""
    spans, text = [], ""
    pieces = template.split("@")
    for number, piece in enumerate(pieces):
        text += piece
        if number < len(values):
            start = len(text)
            text += values[number]
            spans.append(Span(start, len(text), ORIGIN, exact, checked))
    return judge(text, spans, (dialect,))


@pytest.mark.parametrize("value", ["a", "a b", "1; --", "/* */", "''", "%", "é", ""])
def test_the_inside_of_a_literal_is_data(value: str) -> None:
    assert verdict("a = '@'", value) is None
    assert verdict("a LIKE '%@%'", value) is None


@pytest.mark.parametrize("value", ["'", "' OR 1=1 --", "'; DROP TABLE a; --", "' || 'a", "'''"])
def test_who_ends_a_literal_is_no_data(value: str) -> None:
    found = verdict("SELECT * FROM a WHERE b = '@'", value)
    assert found is not None
    assert found.origin == ORIGIN
    assert "literal" in found.changed
    assert "parameter" in found.fix


@pytest.mark.parametrize("value", ["1", "-1", "+2.5", "1e3", "1, 2, 3", " 7 "])
def test_numbers_pass_where_numbers_stand(value: str) -> None:
    assert verdict("a IN (@)", value) is None


def test_a_sign_that_makes_a_comment_is_no_number() -> None:
    assert verdict("a = 3-@\n", "-1") is not None
    assert verdict("a = 3-@\n", "-1", dialect=Dialect.MYSQL) is None
    assert verdict("a = 3 - @", "-1") is None


@pytest.mark.parametrize("value", ["1 OR 1=1", "1;", "(1)", "1--", "a()", "1 a", "*", "1/**/"])
def test_more_than_a_number_does_not_pass(value: str) -> None:
    assert verdict("a = @", value) is not None


def test_a_name_needs_somebody_to_vouch_for_it() -> None:
    assert verdict("SELECT @ FROM a, c", "b") is not None
    for checked in ("member", "constant", "pattern", "word"):
        assert verdict("SELECT @ FROM a, c", "b", checked=checked) is None


def test_a_name_where_a_value_stands_is_always_true() -> None:
    for template in ("id = @", "a LIMIT @", "id IN (@)"):
        assert verdict(template, "id", checked="constant") is not None
    assert verdict("ORDER BY @", "id", checked="constant") is None


def test_what_was_found_by_search_can_be_chance() -> None:
    for value in ("name", "id, name", "a.b"):
        assert verdict("SELECT @ FROM a", value, exact=False) is None
    for value in ("name FROM b", "1 OR 1", "a; b", "UNION SELECT", "(a)"):
        assert verdict("SELECT @ FROM a", value, exact=False) is not None


@pytest.mark.parametrize("value", ["created DESC", "COUNT(*)", ">=", "a, b"])
def test_what_the_code_holds_itself_passes(value: str) -> None:
    assert verdict("a @ b", value, checked="constant") is None
    assert verdict("a @ b", value) is not None


def test_a_constant_with_quotes_or_comments_vouches_for_nothing() -> None:
    for value in ("' OR 'a'='a", "--", "a; b", "/*"):
        assert verdict("b = @", value, checked="constant") is not None


@pytest.mark.parametrize("value", ["name", "a.name", "name DESC"])
def test_what_matched_a_pattern_may_be_a_name(value: str) -> None:
    assert verdict("ORDER BY @", value, checked="pattern") is None
    assert verdict("ORDER BY @", value + ", (SELECT 1)", checked="pattern") is not None


def test_directions_pass() -> None:
    for value in ("ASC", "desc"):
        assert verdict("ORDER BY a @", value) is None


_JOINED = "SELECT p.id, o.name FROM patients p JOIN owners o ON o.id = p.owner ORDER BY @ LIMIT 5"


@pytest.mark.parametrize("value", ["p.name", "p.name DESC", "o.name desc, p.id", "name, p.id ASC"])
def test_columns_with_their_tables_put_in_order(value: str) -> None:
    assert verdict(_JOINED, value) is None
    assert verdict(_JOINED, value, dialect=Dialect.MYSQL) is None
    if "." in value:  # a call with the whole row
        assert verdict(_JOINED, value, dialect=Dialect.POSTGRESQL) is not None


@pytest.mark.parametrize(
    "value",
    [
        *("p.password DESC", "x.name DESC", "p.name DESC, x.id", "p.name DESC, o.api_key"),
        *("p.name.id DESC", "p.rowid DESC", "p. DESC", ".name DESC", "p.name DESC LIMIT 1"),
        *("p.name DESC, (SELECT 1)", "p.name DESC; --", "p.name + 1 DESC", "p.name p.id"),
    ],
)
def test_nothing_else_with_a_table_does(value: str) -> None:
    assert verdict(_JOINED, value) is not None


def test_columns_with_their_tables_are_not_chosen_elsewhere() -> None:
    for template in (
        "SELECT @ FROM patients p JOIN owners o ON o.id = p.id",
        "SELECT p.id FROM patients p WHERE @",
        "UPDATE patients SET @ = 1",
    ):
        assert verdict(template, "p.name DESC") is not None
        assert verdict(template, "p.id, p.name") is not None


def test_a_table_before_the_code_s_own_column_is_not_chosen_in_a_list() -> None:
    assert verdict(_JOINED.replace("@", "@.name"), "p.id, o") is not None


def test_two_values_are_judged_together() -> None:
    assert verdict("a = '@' AND b = '@'", "'", "'") is not None
    assert verdict("a = '@' AND b = '@'", "\\", " OR 1=1 -- ", dialect=Dialect.MYSQL) is not None
    assert verdict("a = '@' AND b = '@'", "\\", "x") is None


def test_a_statement_whose_literal_does_not_end_is_refused() -> None:
    found = verdict("a = '@", "x")
    assert found is not None
    assert "does not end" in found.changed


def test_part_of_a_name_that_the_code_begins_passes() -> None:
    assert verdict("FROM logs_@", "2026") is None
    assert verdict("FROM logs_@", "a") is None
    assert verdict("FROM logs_@", "a, b") is not None


def test_the_payload_is_in_no_word_of_a_verdict() -> None:
    found = verdict("a = '@'", "zebra' OR quagga = '1")
    assert found is not None
    assert "zebra" not in str(found)
    assert "quagga" not in str(found)


TEMPLATES = ("a = '@'", 'SELECT "@" FROM b', "a = '@' AND c = 'd' -- e")


@given(VALUES, st.sampled_from(TEMPLATES), st.sampled_from(list(Dialect)))
def test_nothing_but_the_inside_of_one_token_passes(
    value: str, template: str, dialect: Dialect
) -> None:
    """The oracle: with the value in, all tokens must be those of a harmless value as long."""
    from casemate.guard.sql.tokens import Kind, tokenize

    text = template.replace("@", value)
    harmless = template.replace("@", "z" * len(value))
    same = tokenize(text, dialect) == tokenize(harmless, dialect)
    closed = not any(t.kind is Kind.BROKEN for t in tokenize(text, dialect))
    assert (verdict(template, value, dialect=dialect) is None) == (same and closed)


@given(st.text(max_size=40), st.sampled_from(list(Dialect)))
def test_what_is_escaped_never_blocks(value: str, dialect: Dialect) -> None:
    escaped = value.replace("\\", "\\\\") if dialect is Dialect.MYSQL else value
    assert verdict("a = '@' AND b = 'c'", escaped.replace("'", "''"), dialect=dialect) is None


@given(
    st.text(max_size=20), st.sampled_from(["' OR 1=1 --", "'; SELECT 1; --", "' UNION SELECT 2"])
)
def test_a_quote_that_ends_the_literal_always_blocks(before: str, attack: str) -> None:
    value = before.replace("'", "''") + attack
    assert verdict("a = '@'", value) is not None


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    "template",
    [
        "@",
        "x = @",
        "'@'",
        "a@",
        "@a",
        "@@",
        "-@",
        "1e@",
        "0x@",
        "$@",
        "'a' @ 'b",
        "/* @ */ @",
        "[@]",
    ],
)
def test_the_form_of_a_statement_says_of_decimals_what_a_look_at_each_says(
    template: str, dialect: Dialect
) -> None:
    marks = template.count("@")
    values = ["1.5", "0.0", "340.125", "00.1"]
    known = [
        verdict(f"SELECT a FROM t WHERE {template}", *[value] * marks, dialect=dialect) is None
        for value in values
    ]
    for value, passed in zip(values, known, strict=True):
        structure._harmless.clear()
        again = verdict(f"SELECT a FROM t WHERE {template}", *[value] * marks, dialect=dialect)
        assert (again is None) is passed


def test_a_statement_with_a_decimal_is_cut_into_tokens_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    structure._harmless.clear()
    assert verdict("SELECT a FROM prices WHERE p = @ AND n = 'a @'", "1.5", "bc 1") is None
    monkeypatch.setattr(structure, "tokenize", lambda *_: pytest.fail("it was cut again"))
    assert verdict("SELECT a FROM prices WHERE p = @ AND n = 'a @'", "340.25", "de 2") is None
