"""A certificate and key that the operator keeps in files, watched for their renewal."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

from casemate.certificates.key_pair import CertificateError, KeyPair

_MOST_BYTES = 256 * 1024
_State = tuple[tuple[int, int, int, int], ...]


class GivenFiles:
    """Two PEM files. What is being written is left alone until it has been still for one look."""

    authority: bytes | None = None
    """Who signed it is not the node's to vouch for."""
    interval = 1.0
    """Seconds between two looks."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Watch these; nothing is read yet."""
        self._certificate = certificate
        self._key = key
        self._taken: _State | None = None
        self._seen: _State | None = None

    async def first(self) -> KeyPair:
        """Read both. Raises CertificateError."""
        return await asyncio.to_thread(self._read)

    async def changed(self) -> KeyPair | None:
        """Return the pair if a file changed since it was read last. Raises CertificateError."""
        return await asyncio.to_thread(self._look)

    def forget(self) -> None:
        """Have the next look read the files even if they seem to be the same."""
        self._taken = None

    def _look(self) -> KeyPair | None:
        state = self._state()
        still, self._seen = state == self._seen, state
        if state == self._taken or not still:
            return None
        return self._read()

    def _read(self) -> KeyPair:
        state = self._state()
        # Also if it cannot be used: it is tried, and reported, once for each change.
        self._taken = self._seen = state
        key = self._content(self._key, private=True)
        return KeyPair(certificate=self._content(self._certificate, private=False), key=key)

    def _state(self) -> _State:
        states = []
        for path in (self._certificate, self._key):
            try:
                found = path.stat()
            except OSError:
                states.append((0, 0, 0, 0))
            else:
                # Of the inode, which tells of new rights as well: what a failure says to change.
                states.append((found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size))
        return tuple(states)

    def _content(self, path: Path, *, private: bool) -> bytes:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise CertificateError(
                f"{path} cannot be read: {error.strerror}.",
                next_step=f"Make it readable for the node's gateway (uid {os.getuid()}), and have "
                "whatever renews it do so again, for example: "
                f"setfacl -m u:{os.getuid()}:r {path}",
            ) from error
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _MOST_BYTES:
                raise CertificateError(
                    f"{path} is not a file of at most {_MOST_BYTES} bytes.",
                    next_step="Name a file in PEM.",
                )
            if private and status.st_mode & 0o007:
                raise CertificateError(
                    f"{path} holds a key, and everybody on this host can read or change it.",
                    next_step=f"Run: chmod o= {path}",
                )
            return os.pread(descriptor, _MOST_BYTES, 0)
        finally:
            os.close(descriptor)
