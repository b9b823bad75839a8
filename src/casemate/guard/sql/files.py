"""Statements of engines that read and write files by their name: DuckDB's `FROM '/data/a.csv'`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..core import Guard
from ..origin import Span
from ..paths import following
from ..paths.judgement import judge
from ..verdict import Verdict
from .tokens import Dialect, Kind, tokenize

_BEFORE = re.compile(
    r"(?:\b(?:FROM|JOIN|INTO|TO|ATTACH|LOAD|DATABASE)|"
    r"\b(?:read|scan|parquet|sniff|glob|query_table|st_read)\w{0,40}\s{0,20}\(\s{0,20}\[?|,)\s{0,20}$",
    re.IGNORECASE,
)
_READS = re.compile(r"\b(?:read|scan|parquet|sniff|glob)_?\w{0,40}\s{0,20}\(", re.IGNORECASE)
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
        verdict = judge(name, inside, allowed=allowed, follow=True)
        if verdict is not None:
            return verdict
    return None


def takes_files(text: str) -> bool:
    """Tell whether a statement has a function that reads what its parameter names."""
    return _READS.search(text) is not None
