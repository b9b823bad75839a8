"""Statements of engines that read and write files by their name.

DuckDB's `FROM '/data/a.csv'`; SQLite's `ATTACH '/data/a.db' AS a` and `VACUUM INTO`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from ..core import Guard
from ..origin import Span
from ..paths import following, uris
from ..paths.judgement import IsAllowed, judge
from ..verdict import Verdict
from .tokens import Dialect, Kind, tokenize

_BEFORE = re.compile(
    r"(?:\b(?:FROM|JOIN|INTO|TO|ATTACH|LOAD|DATABASE)|"
    r"\b(?:read|scan|parquet|sniff|glob|query_table|st_read)\w{0,40}\s{0,20}\(\s{0,20}\[?|,)\s{0,20}$",
    re.IGNORECASE,
)
_READS = re.compile(r"\b(?:read|scan|parquet|sniff|glob)_?\w{0,40}\s{0,20}\(", re.IGNORECASE)
_ATTACHES = ("ATTACH", "VACUUM")
_LOOKED_AT = 100


def names_in(text: str, spans: Sequence[Span]) -> Iterator[tuple[str, list[Span]]]:
    """Yield the names of files in a statement that hold something from outside."""
    reads = _READS.search(text) is not None
    for token in tokenize(text, Dialect.POSTGRESQL):
        if token.kind is not Kind.STRING:
            continue
        start, end = token.start + 1, token.end - 1
        inside = [
            s._replace(start=max(s.start, start) - start, end=min(s.end, end) - start)
            for s in spans
            if s.start < end and s.end > start
        ]
        before = text[max(0, token.start - _LOOKED_AT) : token.start]
        match = _BEFORE.search(before) if inside else None
        if match is not None and (reads or not match[0].startswith(",")):
            yield text[start:end].replace("''", "'"), inside


def judge_files(guard: Guard, text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a statement names a file outside of the code's folder."""
    allowed = following.Folders(guard).allow
    for name, inside in names_in(text, spans):
        verdict = _judge_name(name, inside, allowed)
        if verdict is not None:
            return verdict
    return None


def _judge_name(name: str, spans: Sequence[Span], allowed: IsAllowed) -> Verdict | None:
    verdict = uris.judge_uri(name, spans, allowed=allowed) if uris.is_uri(name) else None
    return verdict or judge(name, spans, allowed=allowed, follow=True)


def check_files(guard: Guard, query: Any, given: Any) -> None:
    """Block a statement (BlockedError) that names a file by what the event has.

    `given`: the statement's parameters.
    """
    if not guard.active or not isinstance(query, str):
        return
    guard.check("path", query, lambda text, spans: judge_files(guard, text, spans))
    values = given.values() if isinstance(given, dict) else given
    if takes_files(query) and isinstance(values, (list, tuple, type({}.values()))):
        allowed = following.Folders(guard).allow
        for value in values:
            if isinstance(value, str):
                guard.check("path", value, lambda t, spans: _judge_name(t, spans, allowed))


def check_sqlite_files(guard: Guard, query: Any, given: Any) -> None:
    """As `check_files`, of SQLite, few of whose statements name any."""
    if isinstance(query, str) and names_files(query):
        check_files(guard, query, given)


def names_files(statement: str) -> bool:
    """Tell whether a statement of SQLite names a file."""
    upper = statement.upper()  # each statement is asked: an expression takes ten times as long
    return any(word in upper for word in _ATTACHES)


def takes_files(text: str) -> bool:
    """Tell whether a statement has a function that reads what its parameter names."""
    return _READS.search(text) is not None or names_files(text)
