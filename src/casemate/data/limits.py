"""Bounds that no declaration widens, and the checks of names and texts."""

from __future__ import annotations

import math
import re

import msgspec

from casemate.model.data import MAX_KEY_BYTES, MAX_PAGE
from casemate.model.errors import InvalidInputError
from casemate.model.function import NAME_PATTERN
from casemate.model.grant import RESOURCE_PATTERN

INLINE_BYTES = 32 * 1024
"""Objects up to this size are kept in the database, larger ones in files."""
MAX_RESULT_BYTES = 4 << 20
"""A page of items or messages ends when it is this large, whatever its limit."""
MAX_OBJECTS = 10_000_000
"""Revisions kept in one bucket."""
MAX_MESSAGES = 1_000_000
"""Messages kept in one queue or topic."""
MAX_METADATA_BYTES = 8 * 1024
MAX_CONTENT_TYPE = 255
MAX_RESOURCES = 200
"""Buckets, tables, queues and topics of one project, each."""
MAX_INDEXES = 16
MAX_VERSIONS = 1000
MAX_DEPTH = 32
MAX_ATTRIBUTE_BYTES = 255
MAX_ITEM_BYTES = 16 << 20
MAX_MESSAGE_BYTES = 16 << 20
MAX_INBOX_MESSAGE_BYTES = 64 << 20
"""An event that a function is called with; one of a table holds two images of an item."""
INBOX_RETENTION = 14 * 86_400.0
"""Seconds after which an event that nobody took is a dead letter, and a dead letter is deleted."""
MAX_INBOXES = 10_000
MAX_MESSAGE_KEY_BYTES = 1024
MAX_PRIORITY = 100
"""Priorities go from -100 to 100."""
MAX_LABELS_BYTES = 16 * 1024
MAX_ADMITTED_BYTES = 64
MAX_ATTRIBUTES = 10
"""Of one message; all of them with their names have at most so many bytes:"""
MAX_ATTRIBUTES_BYTES = 4096
MAX_TIME = 1e11
"""Unix times are below this; it is the year 5138."""
MAX_REASON_BYTES = 2048
MAX_KEPT_RESULT = 256 * 1024
"""The result of an invocation that is larger is not kept."""
MAX_ENDS = 1_000_000
"""Ends of invocations that a project remembers, the latest."""
MAX_KEPT_SECONDS = 30 * 86_400.0
"""For how long an end is remembered at most: `keep_results`."""
MAX_SUBSCRIPTIONS = 20_000
MAX_POSITION_BYTES = 64 * 1024
MAX_BATCH = 1000
"""Messages, settlements or ids of one call."""
MAX_DELAY = 14 * 86_400.0
MAX_LEASE = 12 * 3600.0
MAX_DEDUPLICATION_BYTES = 256
DEDUPLICATION_SECONDS = 3600.0
INBOX_DEDUPLICATION_SECONDS = 25 * 3600.0
"""In inboxes: longer than a day, for a web hook that is sent again is one of an attacker."""
UPLOAD_SECONDS = 3600.0
MAX_UPLOADS = 64
"""Unfinished uploads of one project."""

_PROJECT = re.compile(NAME_PATTERN.removesuffix("$") + r"\Z")
_RESOURCE = re.compile(RESOURCE_PATTERN.removesuffix("$") + r"\Z")
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 - RFC 9110, section 5.6.2
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,256}\Z")
_CONTENT_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[\x20-\x7e\t]*)?\Z")


class DataOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds the data of all projects in files, memory and threads."""

    max_open: int = 32
    """Projects open at the same time; each has a thread and up to 16 MiB of page caches."""
    idle_seconds: float = 300.0
    """A project that nobody used for as long is closed."""
    max_project_bytes: int = 64 << 30
    """Size a project's database may reach; files of objects are bounded by their buckets."""
    sweep_seconds: float = 15.0
    """How often an open project deletes what has expired."""
    read_threads: int = 2
    file_threads: int = 4
    content_threads: int = 16
    """Threads that read and write large objects where these are in a store in the network."""


def require_project(name: str) -> None:
    """Refuse what is not a project's name: it becomes part of a file's name."""
    if not isinstance(name, str) or _PROJECT.match(name) is None:
        raise InvalidInputError(
            "The project's name is not valid: expected lower-case letters, digits and `-`, "
            "at most 63, a letter first."
        )


def require_resource(kind: str, name: str) -> None:
    """Refuse what is not the name of a resource."""
    if not isinstance(name, str) or _RESOURCE.match(name) is None:
        raise InvalidInputError(
            f"The name of a {kind} is not valid: expected lower-case letters, digits and `-`, "
            "at most 63, a letter first."
        )


def require_text(what: str, value: object, *, most: int, least: int = 0) -> str:
    """Return `value` if it is text of `least` to `most` bytes in UTF-8 without NUL.

    Raises InvalidInputError, which does not show the value.
    """
    if type(value) is not str:
        raise InvalidInputError(f"The {what} is a {type(value).__name__}, expected text.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"The {what} holds a lone surrogate, expected Unicode text."
        ) from error
    if "\0" in value:
        raise InvalidInputError(f"The {what} holds a NUL character.")
    if not least <= size <= most:
        expected = f"{least} to {most}" if least else f"at most {most}"
        raise InvalidInputError(f"The {what} has {size} bytes, expected {expected}.")
    return value


def require_object_key(key: str) -> None:
    """Refuse what cannot be an object's key. Keys are data, never paths: `..` is as good as any."""
    require_text("object's key", key, least=1, most=MAX_KEY_BYTES)


def require_content_type(value: str) -> None:
    """Refuse what is not a media type of printable ASCII (RFC 9110, section 8.3.1)."""
    if (
        type(value) is not str
        or len(value) > MAX_CONTENT_TYPE
        or _CONTENT_TYPE.match(value) is None
    ):
        raise InvalidInputError(
            f"The content type is not a media type of at most {MAX_CONTENT_TYPE} characters.",
            next_step="Pass one such as text/plain or application/octet-stream.",
        )


def encode_metadata(metadata: dict[str, str] | None) -> bytes:
    """Return an object's metadata as JSON. Raises InvalidInputError for anything but short text."""
    if metadata is not None and type(metadata) is not dict:
        raise InvalidInputError(
            f"The metadata is a {type(metadata).__name__}, expected names with texts."
        )
    for name, value in (metadata or {}).items():
        require_text("name in the metadata", name, least=1, most=MAX_METADATA_BYTES)
        require_text("value in the metadata", value, most=MAX_METADATA_BYTES)
    encoded = msgspec.json.encode(metadata or {})
    if len(encoded) > MAX_METADATA_BYTES:
        raise InvalidInputError(
            f"The metadata has {len(encoded)} bytes as JSON, expected at most {MAX_METADATA_BYTES}."
        )
    return encoded


def require_whole(what: str, value: object, least: int, most: int) -> int:
    """Return `value` if it is a whole number in the range."""
    if type(value) is not int or not least <= value <= most:
        raise InvalidInputError(f"The {what} is not a whole number from {least} to {most}.")
    return value


def require_limit(limit: int) -> None:
    """Refuse a page size that is not 1 to MAX_PAGE."""
    require_whole("limit", limit, 1, MAX_PAGE)


def require_revision(revision: int | None, *, least: int) -> None:
    """Refuse a revision that cannot be one."""
    if revision is not None:
        require_whole("revision", revision, least, 2**63 - 1)


def require_seconds(what: str, value: object, most: float) -> float:
    """Return a duration as a float if it is from 0 to `most` seconds."""
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise InvalidInputError(f"The {what} is not a number of seconds.")
    number = float(value)  # type: ignore[arg-type]
    if not 0 <= number <= most:
        raise InvalidInputError(f"The {what} is {number:g} s, expected 0 to {most:g} s.")
    return number


def storable(text: str) -> str:
    """Return a text for people in a form that can be kept: cut, and cleaned of what cannot be."""
    if len(text) <= MAX_REASON_BYTES and text.isascii() and "\0" not in text:
        return text
    whole = text.replace("\0", "?").encode("utf-8", "replace")
    return whole[:MAX_REASON_BYTES].decode("utf-8", "ignore")


def require_attributes(attributes: object) -> None:
    """Refuse what cannot be a message's attributes."""
    if not isinstance(attributes, dict) or len(attributes) > MAX_ATTRIBUTES:
        raise InvalidInputError(
            f"The attributes are no dict of at most {MAX_ATTRIBUTES} names.",
            next_step="Put what belongs to the message into its body.",
        )
    total = 0
    for name, value in attributes.items():
        if not isinstance(name, str) or not _ATTRIBUTE_NAME.match(name):
            raise InvalidInputError(
                "The name of an attribute is not 1 to 256 letters, digits and `_.-`."
            )
        if not isinstance(value, str):
            raise InvalidInputError(f"The attribute {name} is not text.")
        try:
            total += len(name) + len(value.encode())
        except UnicodeEncodeError as error:
            raise InvalidInputError(f"The attribute {name} is not valid Unicode.") from error
    if total > MAX_ATTRIBUTES_BYTES:
        raise InvalidInputError(
            f"The attributes have {total} bytes with their names, expected at most "
            f"{MAX_ATTRIBUTES_BYTES}."
        )


def require_admitted(mark: object) -> None:
    """Refuse what cannot be the mark of an admitted event."""
    if type(mark) is not bytes or len(mark) > MAX_ADMITTED_BYTES:
        raise InvalidInputError(f"The mark is not bytes, at most {MAX_ADMITTED_BYTES} of them.")


def require_labels(labels: object) -> bytes:
    """Return what came with data about where it is from, if it is bytes and not too many."""
    if type(labels) is not bytes or len(labels) > MAX_LABELS_BYTES:
        raise InvalidInputError(f"The labels are not bytes, at most {MAX_LABELS_BYTES} of them.")
    return labels


def successor(text: str) -> str | None:
    """Return the first text after all that start with `text`, by code point; None if there is none.

    Code points and UTF-8 sort alike. Surrogates are no characters and are stepped over.
    """
    for index in range(len(text) - 1, -1, -1):
        code = ord(text[index])
        if code < 0x10FFFF:
            following = 0xE000 if code == 0xD7FF else code + 1
            return text[:index] + chr(following)
    return None
