"""`import casemate.child.lean_msgspec` first, and msgspec takes no more than it needs.

Where `typing_extensions` is installed msgspec reads it for three names that `typing` has since
Python 3.11, and that stays: half a megabyte in each process of a node, with `inspect`, `ast`, `dis`
and `tokenize` two. For the start of a program alone, which has one thread.
"""

from __future__ import annotations

import sys

if "msgspec" not in sys.modules and "typing_extensions" not in sys.modules:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # as if there were none
    try:
        import msgspec  # noqa: F401
    finally:
        del sys.modules["typing_extensions"]
