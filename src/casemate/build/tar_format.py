"""The one tar encoding of a bundle: every header is determined by path and size.

POSIX ustar (IEEE 1003.1-2017, pax utility). A path too long for a ustar header is preceded by one
pax extended header that holds it and nothing else.
"""

from __future__ import annotations

BLOCK = 512
END = bytes(2 * BLOCK)
_NAME, _PREFIX = 100, 155
_KINDS = {
    b"0": "a file",
    b"\0": "a file",
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a folder",
    b"6": "a named pipe",
    b"S": "a sparse file",
    b"x": "a pax header",
    b"g": "a global pax header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
}


def entry_header(path: str, size: int) -> bytes:
    """Return all that comes before the content of a file: one block, or three or more with pax."""
    name = path.encode()
    split = _split(name)
    if split is not None:
        return _header(*split, size, b"0")
    record = _pax_record(b"path", name)
    return (
        _header(b"pax", b"", len(record), b"x")
        + record
        + padding(len(record))
        + _header(name[:_NAME], b"", size, b"0")
    )


def padding(size: int) -> bytes:
    """Return the zeros that fill the last block of `size` bytes."""
    return bytes(-size % BLOCK)


def describe(block: bytes) -> str:
    """Say what a header block claims to be, for an error message; never trusted."""
    if len(block) < BLOCK:
        return "the end of the archive"
    if not any(block[:BLOCK]):
        return "the end mark"
    name = block[:_NAME].split(b"\0")[0].decode("utf-8", "replace")
    kind = _KINDS.get(block[156:157], "an entry of an unknown kind")
    return f"{kind} named {name!a}"


def _split(name: bytes) -> tuple[bytes, bytes] | None:
    """Return name and prefix fields, or None if the path does not fit."""
    if len(name) <= _NAME:
        return name, b""
    cut = name.find(b"/", len(name) - _NAME - 1)
    if cut <= 0 or cut > _PREFIX or cut == len(name) - 1:
        return None
    return name[cut + 1 :], name[:cut]


def _header(name: bytes, prefix: bytes, size: int, kind: bytes) -> bytes:
    fields = (
        name.ljust(_NAME, b"\0"),
        b"0000644\0",
        b"0000000\0",
        b"0000000\0",
        b"%011o\0" % size,
        b"%011o\0" % 0,
        b" " * 8,
        kind,
        bytes(100),
        b"ustar\00000",
        bytes(32),
        bytes(32),
        bytes(16),
        prefix.ljust(_PREFIX, b"\0"),
        bytes(12),
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _pax_record(key: bytes, value: bytes) -> bytes:
    """Encode `length key=value`, where the length counts itself."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(rest) + len(str(length)) != length:
        length = len(rest) + len(str(length))
    return str(length).encode() + rest
