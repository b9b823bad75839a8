"""Makes types ready to be decoded to, so that threads may do it for the first time together.

What msgspec knows of a class it collects at the first use and lets others see before it is whole:
a second thread that decodes to that class meanwhile follows a null pointer and the process ends
(msgspec 0.22, `StructInfo_Convert`). So within functions every type that has classes of ours in it
goes through `decodable`; decoders that a module makes while it is imported need it not.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar, overload

import msgspec

T = TypeVar("T")

_collecting = threading.RLock()
_ready: set[object] = set()


@overload
def decodable(kind: type[T]) -> type[T]: ...


@overload
def decodable(kind: Any) -> Any: ...


def decodable(kind: Any) -> Any:
    """Return `kind`, a type that msgspec can decode to, with all that it has to know collected.

    The first use costs what the first decoding would have cost; later ones a look into a set.
    Raises TypeError if msgspec does not support the type.
    """
    if kind not in _ready:
        with _collecting:
            msgspec.json.Decoder(kind)
        _ready.add(kind)
    return kind
