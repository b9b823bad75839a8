"""A page of what an S3-compatible store lists: keys with their sizes and times, and nothing else.

What is read is bounded in bytes before, and defines no entities of its own.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote_to_bytes
from xml.parsers.expat import ExpatError, ParserCreate

from casemate.blobs.errors import BlobsUnreachableError

_MAX_TEXT = 8192
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")
_PARTS = ("Key", "LastModified")


class Entry(NamedTuple):
    """One key."""

    key: str
    modified: float
    """Unix time, by the store's clock."""


class Page(NamedTuple):
    """Keys in the order of the store, and where the next page starts."""

    entries: tuple[Entry, ...]
    token: str
    """Empty if this is the last page."""


def error_code(body: bytes) -> str:
    """Return the code of an error's body; empty if it has none."""
    found = _CODE.search(body[:_MAX_TEXT])
    return found[1].decode() if found else ""


def parse_page(body: bytes) -> Page:
    """Return a page of ListObjectsV2, keys encoded as in URLs. Raises BlobsUnreachableError."""
    reader = _Reader()
    parser = ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(body, True)
        return reader.page()
    except (ExpatError, ValueError, UnicodeError) as error:
        raise BlobsUnreachableError(
            f"The object store's list cannot be read: {type(error).__name__}."
        ) from error


class _Reader:
    """What the parser calls."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._entries: list[Entry] = []
        self._fields: dict[str, str] = {}
        self._text: list[str] = []
        self._length = 0
        self._rest: dict[str, str] = {}

    def refuse(self, *_: object) -> None:
        raise ValueError("a document type")

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        if len(self._path) >= 8:
            raise ValueError("too deep")
        self._path.append(name.rpartition(":")[2])
        self._text, self._length = [], 0
        if self._path == ["ListBucketResult", "Contents"]:
            self._fields = {}

    def text(self, data: str) -> None:
        self._length += len(data)
        if self._length > _MAX_TEXT:
            raise ValueError("too long a text")
        self._text.append(data)

    def end(self, _name: str) -> None:
        text, self._text = "".join(self._text), []
        match self._path:
            case ["ListBucketResult", "Contents"]:
                self._entries.append(_entry(self._fields))
            case ["ListBucketResult", "Contents", field] if field in _PARTS:
                self._fields[field] = text
            case ["ListBucketResult", field]:
                self._rest[field] = text
        self._path.pop()

    def page(self) -> Page:
        truncated = self._rest.get("IsTruncated")
        token = self._rest.get("NextContinuationToken", "")
        if truncated not in ("true", "false") or (truncated == "true") != bool(token):
            raise ValueError("no end and no next page")
        if token and not self._entries:
            raise ValueError("an empty page with a next one")
        return Page(tuple(self._entries), token)


def _entry(fields: dict[str, str]) -> Entry:
    if fields.keys() != set(_PARTS):
        raise ValueError("a key without its time")
    modified = datetime.fromisoformat(fields["LastModified"])
    if modified.tzinfo is None:
        raise ValueError("a time without its zone")
    return Entry(unquote_to_bytes(fields["Key"]).decode(), modified.timestamp())
