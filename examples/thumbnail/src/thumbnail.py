"""Scale a JPEG down so that it fits a square: `POST /thumbnail/{size}`."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

from PIL import Image, ImageOps

# Pillow imports its readers on first use. Done here it happens once for all invocations.
Image.preinit()

MIN_EDGE, MAX_EDGE = 16, 1024
MAX_PIXELS = 24_000_000
"""A progressive JPEG needs up to 6 bytes of memory a pixel while it is read: 144 MB."""
QUALITY = 82

EDGE_TEXT = re.compile(r"[0-9]{1,4}")


class RefusedError(Exception):
    """The request cannot be answered with a thumbnail."""

    def __init__(self, status: int, reason: str) -> None:
        """Keep the HTTP status and what the caller is told."""
        super().__init__(reason)
        self.status = status
        self.reason = reason


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer with the scaled picture, or with a 4xx that says what is wrong with the request."""
    try:
        edge = edge_of(event)
        data = jpeg_of(event)
        picture, (width, height) = shrink(data, edge)
    except RefusedError as refused:
        return {"status": refused.status, "body": {"error": refused.reason}}
    context.log.info("scaled", bytes_in=len(data), bytes_out=len(picture), edge=edge)
    return {
        "status": 200,
        "headers": {"content-type": "image/jpeg", "x-picture-size": f"{width}x{height}"},
        "body": picture,
    }


def edge_of(event: dict[str, Any]) -> int:
    """Return the longest edge that the caller asked for, in pixels."""
    text = (event.get("path_parameters") or {}).get("size", "")
    # int() alone would also take "+64", "6_4" and digits of other scripts.
    edge = int(text) if EDGE_TEXT.fullmatch(text) else 0
    if not MIN_EDGE <= edge <= MAX_EDGE:
        raise RefusedError(400, f"size: expected a whole number from {MIN_EDGE} to {MAX_EDGE}")
    return edge


def jpeg_of(event: dict[str, Any]) -> bytes:
    """Return the body. What it really holds is checked when it is read."""
    content_type = (event.get("headers") or {}).get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "image/jpeg":
        raise RefusedError(415, "content-type: expected image/jpeg")
    body = event.get("body")
    if not body:
        raise RefusedError(400, "body: expected a JPEG, got nothing")
    if not event.get("is_base64"):
        raise RefusedError(415, "body: expected a JPEG, got text")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise RefusedError(400, "body: expected base64") from error


def shrink(data: bytes, edge: int) -> tuple[bytes, tuple[int, int]]:
    """Return the thumbnail as JPEG, without the original's metadata, and its width and height."""
    try:
        # `formats` keeps Pillow's fifty other readers away from data that strangers send.
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise RefusedError(413, f"picture: expected at most {MAX_PIXELS:,} pixels")
            # Scaled before anything else: every other step then works on, and copies, little. It
            # also lets the decoder skip what would be thrown away.
            image.thumbnail((edge, edge), Image.Resampling.LANCZOS, reducing_gap=2.0)
            small = ImageOps.exif_transpose(image).convert("RGB")
    except Image.DecompressionBombError as error:
        raise RefusedError(413, f"picture: expected at most {MAX_PIXELS:,} pixels") from error
    except (OSError, SyntaxError, ValueError) as error:
        # What Pillow raises for files that are no JPEG, are cut off or lie about their content.
        raise RefusedError(422, "body: expected a complete JPEG") from error
    out = io.BytesIO()
    small.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue(), small.size
