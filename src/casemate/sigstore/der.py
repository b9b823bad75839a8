"""Reads DER, strictly: definite lengths in the fewest bytes, and nothing behind what is read."""

from __future__ import annotations

from casemate.sigstore.errors import AttestationError

BOOLEAN, INTEGER, OCTETS, NULL, OBJECT, TIME, SEQUENCE, SET = 1, 2, 4, 5, 6, 0x18, 0x30, 0x31
_LONG = 0x80
_MOST_LENGTH_BYTES = 3


def context(number: int) -> int:
    """Return the tag of a constructed value that is told by its place."""
    return 0xA0 | number


class Reader:
    """Values that follow each other. Raises AttestationError for what is no DER."""

    def __init__(self, data: bytes) -> None:
        """Read from the start of `data`."""
        self._data = data
        self._at = 0

    @property
    def tag(self) -> int | None:
        """Return the tag of what comes next; None: there is no more."""
        return self._data[self._at] if self._at < len(self._data) else None

    def value(self, tag: int) -> bytes:
        """Return what is in the next value, which has to have this tag."""
        if self.tag != tag:
            raise AttestationError("A timestamp has another form than that of RFC 3161.")
        start = self._at + 2
        length = self._data[start - 1] if start <= len(self._data) else _LONG
        if length >= _LONG:
            more = length - _LONG
            length = int.from_bytes(self._data[start : start + more], "big")
            if not 1 <= more <= _MOST_LENGTH_BYTES or length < max(_LONG, 1 << 8 * (more - 1)):
                raise AttestationError("A timestamp is not encoded in DER.")
            start += more
        found = self._data[start : start + length]
        if len(found) != length:
            raise AttestationError("A timestamp is cut short.")
        self._at = start + length
        return found

    def inside(self, tag: int) -> Reader:
        """Return what reads the next value, which has to have this tag."""
        return Reader(self.value(tag))

    def skip(self, tag: int) -> None:
        """Pass over the next value if it has this tag."""
        if self.tag == tag:
            self.value(tag)

    def end(self) -> None:
        """Raise unless all was read."""
        if self.tag is not None:
            raise AttestationError("A timestamp has something in it that is not read here.")


def of_set(content: bytes) -> bytes:
    """Return a set with this content."""
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    length = bytes([len(content)]) if len(content) < _LONG else bytes([_LONG | len(size)]) + size
    return bytes([SET]) + length + content
