"""A QR code drawn on a terminal, two rows of it in each line."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

from casemate.cli.terminal import colourful

_QUIET = 2
"""Light modules around the code. Four are asked for; readers of screens are content with two."""
_DARK, _LIGHT = ("30", "40"), ("97", "107")
"""Colours of foreground and background (SGR), stated both: the terminal's own may be either."""


def show_qr_code(text: str, stream: TextIO | None = None) -> bool:
    """Draw `text` for an authenticator to scan; tell whether it was drawn.

    It is not where nobody could scan it: in a file or pipe, and on a terminal that is too narrow
    or has no blocks. What it says is a secret, so it is never written where it would be kept.
    """
    stream = stream or sys.stderr
    if not stream.isatty() or os.environ.get("TERM") == "dumb" or not _has_blocks(stream):
        return False
    import segno

    # What a screen shows is not damaged, and has to fit it. More is taken where nothing grows.
    rows = [
        [bool(module) for module in row]
        for row in segno.make_qr(text, error="l").matrix_iter(border=_QUIET)
    ]
    if len(rows[0]) > shutil.get_terminal_size().columns:
        return False
    for line in _lines(rows, colours=colourful(stream)):
        print(line, file=stream)
    stream.flush()
    return True


def _has_blocks(stream: TextIO) -> bool:
    try:
        "▀▄█".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _lines(rows: Sequence[Sequence[bool]], *, colours: bool) -> list[str]:
    """Return the lines; True is dark. Without colours, what is light is drawn and dark is left."""
    light = [False] * len(rows[0])
    lines = []
    for upper, lower in zip(rows[::2], [*rows[1::2], light], strict=False):
        pairs = list(zip(upper, lower, strict=True))
        lines.append(_coloured(pairs) if colours else _plain(pairs))
    return lines


def _coloured(pairs: Sequence[tuple[bool, bool]]) -> str:
    cells = (
        f"\x1b[{(_DARK if upper else _LIGHT)[0]};{(_DARK if lower else _LIGHT)[1]}m▀"
        for upper, lower in pairs
    )
    return "".join(cells) + "\x1b[0m"


def _plain(pairs: Sequence[tuple[bool, bool]]) -> str:
    blocks = {(False, False): "█", (False, True): "▀", (True, False): "▄", (True, True): " "}
    return "".join(blocks[pair] for pair in pairs)
