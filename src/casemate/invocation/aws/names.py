"""Names, times and texts as AWS writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

ACCOUNT = "000000000000"
REGION = "local"
_NEVER_ENCODED = "-._~!$&'()*+,;=:@/%"


def arn(service: str, resource: str, *, placed: bool = True) -> str:
    """Return the name of a resource; without account and region if it is not `placed`."""
    where = f"{REGION}:{ACCOUNT}" if placed else ":"
    return f"arn:aws:{service}:{where}:{resource}"


def project_of(source: str) -> str:
    """Return the project that a source of ours names, empty for another source."""
    parts = source.split("/", 3)
    return parts[2] if len(parts) > 2 and parts[1] == "projects" else ""


def iso(moment: float) -> str:
    """Return a Unix time as `2026-03-01T12:00:00.000Z`."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def milliseconds(moment: float) -> int:
    """Return a Unix time in milliseconds."""
    return int(moment * 1000)


def as_text(data: bytes) -> str:
    """Return JSON as the text of a message: a string itself, anything else as JSON."""
    value = msgspec.json.decode(data)
    return value if isinstance(value, str) else data.decode()


def encoded_path(path: str) -> str:
    """Return a path percent-encoded, as callers send it; what is encoded already stays."""
    return quote(path, safe=_NEVER_ENCODED)


def texts(value: object) -> dict[str, str]:
    """Return names and values as texts; nothing of what is no object."""
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}
