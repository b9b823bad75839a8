"""An interpreter that functions can run on."""

from __future__ import annotations

import msgspec


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """One interpreter of this host, as the sandbox needs to know it."""

    minor: str
    """`3.11` to `3.14`."""
    executable: str
    """Absolute path, links resolved."""
    prefix: str
    """The folder (`sys.base_prefix`) whose `lib` holds the standard library."""
