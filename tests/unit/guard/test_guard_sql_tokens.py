"""Tokens of SQL: where literals, names and comments end, in each dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.sql.tokens import Dialect, Kind, tokenize

S, N, W, D, C, P, Op, B = (
    Kind.STRING,
    Kind.NAME,
    Kind.WORD,
    Kind.NUMBER,
    Kind.COMMENT,
    Kind.PARAMETER,
    Kind.OPERATOR,
    Kind.BROKEN,
)
POSTGRESQL, MYSQL, SQLITE = Dialect.POSTGRESQL, Dialect.MYSQL, Dialect.SQLITE


def kinds(text: str, dialect: Dialect) -> list[Kind]:
    return [token.kind for token in tokenize(text, dialect)]


def parts(text: str, dialect: Dialect) -> list[str]:
    return [text[token.start : token.end] for token in tokenize(text, dialect)]


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n", []),
        ("SELECT 1", [W, D]),
        ("a.b", [W, Op, W]),
        ("'it''s'", [S]),
        ("''", [S]),
        ("'a' 'b'", [S, S]),
        ("a >= 1.5e-3", [W, Op, D]),
        ("-1", [Op, D]),
        ("a<>b", [W, Op, W]),
        ("a /* b */ c", [W, C, W]),
        ("/* ' */ 'a'", [C, S]),
        ("a -- b\nc", [W, C, W]),
        ("'-- /*'", [S]),
        ("a = %s", [W, Op, P]),
        ("a = %(name)s", [W, Op, P]),
        ("größe", [W]),
        ("'", [B]),
        ("'a''", [B]),
        ("/* a", [B]),
        ("a;b", [W, Op, W]),
        ("COUNT(*)", [W, Op, Op, Op]),
        ("0xFF", [D]),
    ],
)
def test_what_all_dialects_share(dialect: Dialect, text: str, expected: list[Kind]) -> None:
    assert kinds(text, dialect) == expected


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        (POSTGRESQL, "'a\\'", [S]),
        (SQLITE, "'a\\'", [S]),
        (MYSQL, "'a\\'", [B]),
        (MYSQL, "'a\\' b'", [S]),
        (POSTGRESQL, "E'a\\' b'", [S]),
        (POSTGRESQL, "e'a\\'", [B]),
        (POSTGRESQL, "e'a''b'", [S]),
        (MYSQL, '"a"', [S]),
        (MYSQL, '"a\\""', [S]),
        (POSTGRESQL, '"a""b"', [N]),
        (SQLITE, '"a"', [N]),
        (MYSQL, "`a``b`", [N]),
        (SQLITE, "`a`", [N]),
        (SQLITE, "[a b]", [N]),
        (Dialect.TSQL, "[a]]b]", [N]),
        (POSTGRESQL, "a[1]", [W, Op, D, Op]),
        (POSTGRESQL, "$$it's$$", [S]),
        (POSTGRESQL, "$a$ $$ $b$ $a$", [S]),
        (POSTGRESQL, "$a$ b", [B]),
        (POSTGRESQL, "$1 + $2", [P, Op, P]),
        (POSTGRESQL, "a::text", [W, Op, W]),
        (POSTGRESQL, "/* a /* b */ c */ d", [C, W]),
        (POSTGRESQL, "/* a /* b */ c", [B]),
        (MYSQL, "/* a /* b */ c", [C, W]),
        (MYSQL, "a # b", [W, C]),
        (POSTGRESQL, "a # b", [W, Op, W]),
        (MYSQL, "1--1", [D, Op, Op, D]),
        (MYSQL, "1-- 1", [D, C]),
        (MYSQL, "1--", [D, C]),
        (SQLITE, "1--1", [D, C]),
        (MYSQL, "/*!50000 UNION */ a", [Op, W, Op, W]),
        (MYSQL, "/*M! UNION */ a", [Op, W, Op, W]),
        (MYSQL, "@a := @@b", [P, Op, P]),
        (SQLITE, "? ?1 :a @b $c", [P, P, P, P, P]),
        (Dialect.ORACLE, "q'[it's]' 1", [S, D]),
        (Dialect.ORACLE, "Q'!it's!' 1", [S, D]),
        (Dialect.ORACLE, "a = :1", [W, Op, P]),
        (Dialect.TSQL, "#t @v", [W, P]),
    ],
)
def test_what_is_different(dialect: Dialect, text: str, expected: list[Kind]) -> None:
    assert kinds(text, dialect) == expected


def test_what_is_not_closed_reaches_to_the_end() -> None:
    assert parts("a = 'b; c -- d", SQLITE) == ["a", "=", "'b; c -- d"]


@given(st.text(alphabet=st.sampled_from("ab1 '\"`\\$/*-#;[]()%:@?.\n\0é=<!q"), max_size=40))
def test_tokens_are_in_order_and_leave_out_white_space_alone(text: str) -> None:
    for dialect in Dialect:
        place = 0
        for token in tokenize(text, dialect):
            assert token.start >= place
            assert token.end > token.start
            assert text[place : token.start].strip() == ""
            place = token.end
        assert text[place:].strip() == ""


@given(st.text(max_size=60), st.sampled_from(list(Dialect)))
def test_a_value_escaped_as_its_dialect_does_is_one_literal(value: str, dialect: Dialect) -> None:
    escaped = value.replace("\\", "\\\\") if dialect is MYSQL else value
    text = "'" + escaped.replace("'", "''") + "'"
    (token,) = tokenize(text, dialect)
    assert token == (S, 0, len(text))


@given(st.text(max_size=60))
def test_a_quoted_name_is_one_name(value: str) -> None:
    for dialect, mark in ((POSTGRESQL, '"'), (SQLITE, '"'), (MYSQL, "`"), (SQLITE, "`")):
        text = mark + value.replace(mark, mark * 2) + mark
        assert kinds(text, dialect) == [N]
