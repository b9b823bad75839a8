"""Summarise every column of a CSV file: `POST /summary?delimiter=;`."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import Any

import numpy as np
import pandas as pd

MEDIA_TYPES = ("text/csv", "text/plain")
DELIMITERS = {",": ",", ";": ";", "|": "|", "tab": "\t"}
MAX_COLUMNS = 200
MOST_COMMON = 3
DIGITS = 6
"""Significant digits of every number that was calculated."""

FIELD_COUNT = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


class RefusedError(Exception):
    """The request holds nothing that can be summarised."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep the HTTP status and what the caller is told."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer with the summary as JSON, or with a 4xx that says what is wrong with the request."""
    try:
        frame = read(text_of(event), delimiter_of(event))
    except RefusedError as refused:
        return {"status": refused.status, "body": {"error": refused.reason}}
    context.log.info("summarised", rows=len(frame), columns=len(frame.columns))
    return {"status": 200, "body": summarise(frame)}


def text_of(event: dict[str, Any]) -> str:
    """Return the body if it is text."""
    content_type = (event.get("headers") or {}).get("content-type", "")
    if content_type.partition(";")[0].strip().lower() not in MEDIA_TYPES:
        raise RefusedError(415, "content-type: expected text/csv")
    if event.get("is_base64"):
        raise RefusedError(415, "body: expected text in UTF-8")
    # Spreadsheet programs put a byte order mark in front; it is not part of the first name.
    body: str = (event.get("body") or "").removeprefix("\ufeff")
    if not body.strip():
        raise RefusedError(400, "body: expected CSV with a line of column names, got nothing")
    return body


def delimiter_of(event: dict[str, Any]) -> str:
    """Return the delimiter that the caller chose, or the comma."""
    (name, *more) = (event.get("query") or {}).get("delimiter") or [","]
    if more or name not in DELIMITERS:
        raise RefusedError(400, f"delimiter: expected one of {' '.join(DELIMITERS)}")
    return DELIMITERS[name]


def read(text: str, delimiter: str) -> pd.DataFrame:
    """Return the table. Its first line holds the names of the columns."""
    _check_shape(text, delimiter)
    try:
        frame = pd.read_csv(io.StringIO(text), sep=delimiter, low_memory=False)
    except pd.errors.ParserError as error:
        counts = FIELD_COUNT.search(str(error))
        if counts is None:
            raise RefusedError(422, "body: expected CSV, a quotation mark is not closed") from error
        expected, line, got = counts.groups()
        raise RefusedError(422, f"line {line}: expected {expected} fields, got {got}") from error
    except (pd.errors.EmptyDataError, ValueError) as error:
        raise RefusedError(422, "body: expected CSV with a line of column names") from error
    return frame


def _check_shape(text: str, delimiter: str) -> None:
    """Refuse what pandas would misread or spend its memory on."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    filled = (row for row in rows if len(row) > 1 or "".join(row).strip())
    try:
        names, first = next(filled, []), next(filled, [])
    except csv.Error as error:
        raise RefusedError(422, "body: expected fields of at most 128 KiB") from error
    if len(names) > MAX_COLUMNS:
        raise RefusedError(413, f"body: expected at most {MAX_COLUMNS} columns")
    if len(first) > len(names):
        # pandas takes the surplus for row labels, which would shift every column by one.
        raise RefusedError(422, f"first row: expected {len(names)} fields, got {len(first)}")


def summarise(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the number of rows and, for every column, a summary of its values."""
    # A statistic without a finite result is answered as null, and needs no warning in the log.
    with np.errstate(invalid="ignore", over="ignore"):
        columns = [
            {"name": str(name), "missing": int(column.isna().sum()), **describe(column.dropna())}
            for name, column in frame.items()
        ]
    return {"rows": len(frame), "columns": columns}


def describe(values: pd.Series[Any]) -> dict[str, Any]:
    """Return type and statistics of a column without its missing values."""
    if values.empty:
        return {"type": "empty"}
    if pd.api.types.is_bool_dtype(values):
        return {"type": "boolean", "true": int(values.sum())}
    if pd.api.types.is_integer_dtype(values):
        return {"type": "integer", **_spread(values, int(values.min()), int(values.max()))}
    if pd.api.types.is_numeric_dtype(values):
        return {"type": "number", **_spread(values, _number(values.min()), _number(values.max()))}
    text = values.astype(str)
    try:
        moments = pd.to_datetime(text, format="ISO8601", utc=True)
    except (ValueError, OverflowError):
        return {"type": "text", **_common(text)}
    return {
        "type": "date-time",
        "min": moments.min().isoformat(),
        "max": moments.max().isoformat(),
    }


def _spread(
    values: pd.Series[Any], low: float | None, high: float | None
) -> dict[str, float | None]:
    return {
        "min": low,
        "max": high,
        "mean": _number(values.mean()),
        "median": _number(values.median()),
        "standard_deviation": _number(values.std()),
    }


def _common(text: pd.Series[Any]) -> dict[str, Any]:
    counts = text.value_counts()
    return {
        "distinct": len(counts),
        "most_common": {str(name): int(n) for name, n in counts.head(MOST_COMMON).items()},
        "longest": int(text.str.len().max()),
    }


def _number(value: float) -> float | None:
    """Return a number that JSON can hold; None stands for infinity and for "not a number"."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None


# pandas prepares much on first use. Done here it is paid once, before any invocation, and every
# fresh process starts with it.
summarise(read("when,name,size,share,kept\n2026-01-01,a,1,0.5,true\n", ","))
