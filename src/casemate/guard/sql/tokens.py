"""Cuts SQL into tokens, as the databases do: enough to tell where each literal ends.

PostgreSQL 17 manual 4.1, MySQL 8.4 manual 11.1 and 11.7, SQLite "SQL As Understood By SQLite"
(tokenize.c's classes), T-SQL and Oracle for quoted identifiers.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache
from typing import NamedTuple


class Dialect(Enum):
    """What differs between databases in where tokens end."""

    ANSI = "ansi"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    SQLITE = "sqlite"
    TSQL = "tsql"
    ORACLE = "oracle"


class Kind(Enum):
    """Kinds of tokens. White space is none."""

    STRING = "string literal"
    NAME = "quoted name"
    WORD = "word"
    NUMBER = "number"
    COMMENT = "comment"
    PARAMETER = "parameter"
    OPERATOR = "operator"
    BROKEN = "unterminated literal"
    """A quote or comment that is opened and not closed: the rest of the text."""


class Token(NamedTuple):
    """One token: characters `start` up to, not including, `end`."""

    kind: Kind
    start: int
    end: int


_STRING = r"'(?:[^']|'')*+'"
_ESCAPED = r"'(?:[^'\\]|''|\\.)*+'"
_NAME = r'"(?:[^"]|"")*+"'
_LINE = r"--[^\r\n]*"
_NUMBER = r"0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_WORD = r"[^\W\d][\w$]*"
_FORMAT = r"%s|%\(\w+\)s|%%"
_OPERATOR = r"::|<=>|<=|>=|<>|!=|:=|\|\||&&|->>|->|[^\s\w]"


def patterns_of(dialect: Dialect) -> list[tuple[Kind | None, str]]:
    """Return the alternatives in the order in which they are tried."""
    strings, names, comments = [_STRING], [_NAME], [_LINE, r"/\*.*?\*/"]
    words = _WORD
    parameters = [_FORMAT, r"\?\d*", r"(?<![:\w]):[A-Za-z_]\w*", r":\d+"]
    if dialect is Dialect.POSTGRESQL:
        strings = [rf"[eE]{_ESCAPED}", _STRING, r"\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$"]
        comments = [_LINE]
        parameters.append(r"\$\d+")
    elif dialect is Dialect.MYSQL:
        strings = [_ESCAPED, r'"(?:[^"\\]|""|\\.)*+"']
        names = [r"`(?:[^`]|``)*+`"]
        # A versioned comment is code: its ends are operators, what is between counts.
        comments = [r"--(?=[\s\x00-\x1f]|\Z)[^\r\n]*", r"\#[^\r\n]*", r"/\*(?!M?!).*?\*/"]
        words = r"(?:[^\W\d]|\$)[\w$]*"
        parameters.append(r"@@?[\w$.]+")
    elif dialect is Dialect.SQLITE:
        names = [_NAME, r"`(?:[^`]|``)*+`", r"\[[^\]]*+\]"]
        parameters += [r"[@$][A-Za-z_]\w*"]
    elif dialect is Dialect.TSQL:
        names = [_NAME, r"\[(?:[^\]]|\]\])*+\]"]
        parameters.append(r"@@?\w+")
        words = r"(?:[^\W\d]|\#)[\w$\#]*"
    elif dialect is Dialect.ORACLE:
        strings = [
            r"[nN]?[qQ]'(?:\[.*?\]|\{.*?\}|\(.*?\)|<.*?>|(?P<quote>[^\s\[{(<]).*?(?P=quote))'",
            _STRING,
        ]
    elif dialect is Dialect.ANSI:
        names = [_NAME, r"`(?:[^`]|``)*+`"]
    opened = [r"'", r'"', r"/\*(?!M?!)" if dialect is Dialect.MYSQL else r"/\*"]
    if dialect is Dialect.POSTGRESQL:
        opened += [r"[eE]'", r"\$(?:[^\W\d]\w*)?\$"]
    elif dialect is Dialect.ORACLE:
        opened.append(r"[nN]?[qQ]'")
    elif dialect is not Dialect.TSQL:
        opened.append("`")
    if dialect in (Dialect.SQLITE, Dialect.TSQL):
        opened.append(r"\[")
    return [
        (None, r"\s+"),
        (Kind.COMMENT, "|".join(comments)),
        (Kind.STRING, "|".join(strings)),
        (Kind.NAME, "|".join(names)),
        (Kind.BROKEN, rf"(?:{'|'.join(opened)}).*"),
        (Kind.PARAMETER, "|".join(parameters)),
        (Kind.NUMBER, _NUMBER),
        (Kind.WORD, words),
        (Kind.OPERATOR, r"/\*M?!\d*|\*/|" + _OPERATOR if dialect is Dialect.MYSQL else _OPERATOR),
        (Kind.OPERATOR, r"."),
    ]


@cache
def _scanner(dialect: Dialect) -> tuple[re.Pattern[str], dict[str, Kind]]:
    kinds: dict[str, Kind] = {}
    alternatives = []
    for number, (kind, pattern) in enumerate(patterns_of(dialect)):
        if kind is None:
            alternatives.append(f"(?:{pattern})")
        else:
            kinds[f"k{number}"] = kind
            alternatives.append(f"(?P<k{number}>{pattern})")
    return re.compile("|".join(alternatives), re.DOTALL), kinds


def _nested_comment(text: str, start: int) -> int | None:
    """Return the end of a PostgreSQL comment, which may hold others; None if it has none."""
    depth, place = 0, start
    for match in re.compile(r"/\*|\*/").finditer(text, start):
        depth += 1 if match[0] == "/*" else -1
        place = match.end()
        if depth == 0:
            return place
    return None


def tokenize(text: str, dialect: Dialect) -> list[Token]:
    """Return the tokens of a text; what is not closed is one BROKEN token to the end."""
    scanner, kinds = _scanner(dialect)
    nested = dialect is Dialect.POSTGRESQL
    tokens: list[Token] = []
    place, length = 0, len(text)
    match_at = scanner.match
    while place < length:
        match = match_at(text, place)
        if match is None:
            return [*tokens, Token(Kind.BROKEN, place, length)]
        end, group = match.end(), match.lastgroup
        if group in ("tag", "quote"):
            group = next(name for name in kinds if match[name] is not None)
        kind = kinds[group] if group is not None else None
        if kind is Kind.BROKEN and nested and text.startswith("/*", place):
            closed = _nested_comment(text, place)
            if closed is not None:
                kind, end = Kind.COMMENT, closed
        if kind is not None:
            tokens.append(Token(kind, place, end))
        place = end
    return tokens


def warm() -> None:
    """Compile the patterns of the usual dialects, so that instances share them."""
    for dialect in Dialect:
        tokenize("SELECT a FROM b WHERE c = 'd' -- e", dialect)
