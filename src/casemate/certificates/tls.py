"""TLS of a running node: the present context, and what changes it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Protocol

from casemate.certificates.issuing import begins_at, ends_at, fingerprint, now_utc
from casemate.certificates.key_pair import KeyPair
from casemate.certificates.server_context import server_context
from casemate.model.errors import CasemateError

WARNED_OF_LIFE = 10
"""It is warned when a tenth of a certificate's life is left."""


class CertificateSource(Protocol):
    """Where certificates come from. Raises CasemateError with what is wrong and the next step."""

    interval: float
    """Seconds between two calls of `changed`."""

    @property
    def authority(self) -> bytes | None:
        """The certificate (PEM) of the node's own authority; None if it is somebody else's."""
        ...

    async def first(self) -> KeyPair:
        """Return the pair to start with."""
        ...

    async def changed(self) -> KeyPair | None:
        """Return a new pair if there is one."""
        ...

    def forget(self) -> None:
        """Have the next `changed` return a pair even if nothing seems to have changed."""
        ...


class NodeTls:
    """Holds the context for new connections, and replaces it when the certificate changes.

    Connections that are open keep the certificate they began with.
    """

    def __init__(
        self,
        source: CertificateSource,
        report: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take certificates from `source`; `report` writes to the node's log."""
        self._source = source
        self._report = report
        self._context: ssl.SSLContext | None = None
        self.pair: KeyPair | None = None
        """The present certificate with its key; None before `start`."""
        self.changed: Callable[[KeyPair], None] | None = None
        """Told of each one that takes its place."""
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()
        self._reported = ""
        self._failure = ""
        """Why the newest certificate is not in use; empty if it is."""
        self._clock = clock
        self._warn_at: float | None = None
        """When to warn that no other has come; None once that is done."""
        self.ends_at: float | None = None
        """When the present certificate ends (Unix time); None before `start`."""
        self._begins_at = 0.0

    async def start(self) -> None:
        """Load the first certificate and begin to look for others. Raises CasemateError."""
        pair = await self._source.first()
        # Of its own authority it can have no other: the clock is behind, or was ahead at that time.
        self._take(pair, to_come=self._source.authority is not None)
        self._task = asyncio.create_task(self._follow())

    def _take(self, pair: KeyPair, *, to_come: bool = False) -> None:
        self._context = server_context(pair, to_come=to_come)
        self.pair = pair
        self.ends_at = ends_at(pair.certificate).timestamp()
        self._begins_at = begins_at(pair.certificate).timestamp()
        life = self.ends_at - self._begins_at
        self._warn_at = self.ends_at - life / WARNED_OF_LIFE

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection, as `HttpServer.start` asks for it."""
        if self._context is None:
            raise CasemateError("TLS was not started.")
        return self._context

    @property
    def authority(self) -> bytes | None:
        """The certificate (PEM) of the node's own authority, if it has one."""
        return self._source.authority

    @property
    def authority_fingerprint(self) -> str | None:
        """The SHA-256 of that certificate, 64 hexadecimal digits."""
        authority = self._source.authority
        return fingerprint(authority) if authority else None

    def reload(self) -> None:
        """Look now, and take what is there even if it seems to be the same (SIGHUP)."""
        self._source.forget()
        self._now.set()

    async def close(self) -> None:
        """Look no more. Closing twice is fine."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._source.interval):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()
            await self.look()

    def problem(self) -> str:
        """Return why clients refuse the node, or will; empty if nothing is wrong."""
        if self.ends_at is not None and self._clock() >= self.ends_at:
            return (
                f"The certificate ended at {_moment(self.ends_at)}: clients refuse it. {self._next}"
            )
        if self._clock() < self._begins_at:
            return (
                f"The certificate is valid from {_moment(self._begins_at)} on, and by this node's "
                "clock that is still to come: clients by the same clock refuse it. "
                "Next: Set the clock right."
            )
        return self._failure

    @property
    def _next(self) -> str:
        if self._source.authority is not None:
            return "Next: See in the node's log why it is not renewed; SIGHUP tries at once."
        return (
            "Next: Renew it; the files of --tls-cert and --tls-key are taken once they are whole."
        )

    async def look(self) -> None:
        """Replace the context if there is another certificate; keep it if that cannot be used."""
        try:
            pair = await self._source.changed()
            if pair is None:
                self._warn()
                return
            self._take(pair)
            if self.changed is not None:
                self.changed(pair)
        except CasemateError as error:
            self._fail(f"the certificate stays as it is: {error}")
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the renewals
            self._fail(f"the certificate stays as it is: {type(error).__name__}")
        else:
            self._reported = self._failure = ""
            until = ends_at(pair.certificate)
            self._report(f"new connections get a certificate that is valid until {until:%Y-%m-%d}")

    def _warn(self) -> None:
        """Report once that the certificate ends soon, and once more that it has ended."""
        if self.ends_at is None or self._warn_at is None or self._clock() < self._warn_at:
            return
        ended = self._clock() >= self.ends_at
        self._warn_at = None if ended else self.ends_at
        word = "ended" if ended else "ends"
        self._report(
            f"warning: the certificate {word} at {_moment(self.ends_at)}, and no other has come. "
            f"{self._next}"
        )

    def _fail(self, message: str) -> None:
        self._failure = message
        self._tell(message)

    def _tell(self, message: str) -> None:
        """Report what does not change only once."""
        if message != self._reported:
            self._reported = message
            self._report(message)


def _moment(at: float) -> str:
    return f"{now_utc(at):%Y-%m-%d %H:%M} UTC"
