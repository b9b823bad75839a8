"""The shape of a statement: what is left of it without literals, comments and lengths of lists."""

from __future__ import annotations

import re
from functools import cache

from .tokens import Dialect, Kind, patterns_of

MAX_LOOKED = 4096
"""Characters of a statement that are looked at; what follows them has no part in the shape."""
_LIST = re.compile(r"\?(?: ?, ?\?)+")
_ROWS = re.compile(r"(\( ?\?\+? ?\))(?: ?, ?\1)+")
_NOT_IN_A_WORD = r"(?<![\w$])"
_NESTING = r"/\*.*?\*/"
"""A comment of PostgreSQL, up to its first end: the tokens count how deep it is."""


def shape(statement: str, dialect: Dialect) -> str:
    """Return it. Lists of values and rows of them are the same however long they are."""
    cut = len(statement) > MAX_LOOKED
    text = _literals(dialect).sub(_mark, statement[:MAX_LOOKED]).lower()
    text = _ROWS.sub(r"\1", _LIST.sub("?+", " ".join(text.split())))
    return f"{text} ..." if cut else text


def _mark(match: re.Match[str]) -> str:
    if match["named"] is not None:
        return match["named"]
    return " " if match["said"] is not None else "?"


@cache
def _literals(dialect: Dialect) -> re.Pattern[str]:
    """Return what finds literals, comments, and the quoted names that may look like either."""
    found = dict(patterns_of(dialect))
    comments = found[Kind.COMMENT]
    if dialect is Dialect.POSTGRESQL:
        comments += f"|{_NESTING}"
    values = "|".join(found[kind] for kind in (Kind.STRING, Kind.BROKEN, Kind.PARAMETER))
    return re.compile(
        rf"(?P<said>{comments})|(?P<named>{found[Kind.NAME]})"
        rf"|{values}|{_NOT_IN_A_WORD}(?:{found[Kind.NUMBER]})",
        re.DOTALL,
    )


def warm() -> None:
    """Compile the patterns, so that instances share them."""
    for dialect in Dialect:
        _literals(dialect)
