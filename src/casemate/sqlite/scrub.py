"""Reading all of a database to see that it is what was written: each page, then what they say."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from casemate.sqlite import engine
from casemate.sqlite.engine import PAGE_BYTES
from casemate.sqlite.open_file import OpenFile
from casemate.sqlite.pages import SALT_BYTES, authentic, code_key

Pace = Callable[[int], None]
"""Is told how many bytes were read, and waits for as long as they may take."""
MOST_PROBLEMS = 20
_BLOCK_PAGES = 64
_LOGIC_BYTES = 256 * 1024 * 1024
"""Of larger databases only the pages are checked: the engine looks at all of one in one go, and
the log cannot be written back meanwhile."""


def damaged_pages(file: OpenFile, key: bytes, pace: Pace) -> list[str]:
    """Return which pages are not what was written, the first few. Blocks. Raises OSError."""
    codes = code_key(key, os.pread(file.descriptor, SALT_BYTES, 0))
    found: list[str] = []
    number = 1
    while block := os.pread(file.descriptor, _BLOCK_PAGES * PAGE_BYTES, (number - 1) * PAGE_BYTES):
        for at in range(0, len(block), PAGE_BYTES):
            page = block[at : at + PAGE_BYTES]
            if not authentic(page, number, codes) and file.is_damaged(number, codes):
                found.append(f"page {number} is not what was written")
                if len(found) >= MOST_PROBLEMS:
                    return found
            number += 1
        pace(len(block))
    return found


def wrong_content(path: Path, key: bytes) -> list[str]:
    """Return what contradicts itself in a database that is open elsewhere in this process.

    Blocks. Raises the engine's errors.
    """
    if path.stat().st_size > _LOGIC_BYTES:
        return []
    with closing(engine.connect(path, key)) as connection:
        connection.execute("PRAGMA query_only = ON")
        answer = connection.execute(f"PRAGMA integrity_check({MOST_PROBLEMS:d})").fetchall()
        found = [str(row[0]) for row in answer if row[0] != "ok"]
        broken = connection.execute("PRAGMA foreign_key_check").fetchmany(MOST_PROBLEMS)
        return found + [f"a row of {row[0]} refers to none of {row[2]}" for row in broken]


def scrub(file: OpenFile, key: bytes, pace: Pace) -> list[str]:
    """Return all that is wrong with an open database. Blocks."""
    try:
        with file.held():
            found = damaged_pages(file, key, pace)
        return found or wrong_content(file.path, key)
    except OSError as error:
        return [f"it cannot be read: {error.strerror}"]
    except (engine.Error, MemoryError) as error:
        return [f"it cannot be read: {error}"]
