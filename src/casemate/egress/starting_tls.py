"""Going over to TLS on a connection on which something was said in clear before."""

from __future__ import annotations

import asyncio
import ssl

from casemate.model.errors import CasemateError


class SaidInClearError(CasemateError):
    """It says more than it should before TLS."""


async def start_tls(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext, host: str
) -> None:
    """Go over to TLS with who has the certificate of `host`.

    Raises SaidInClearError, OSError.
    """
    # asyncio keeps what has come, and gives it out after that as what came by TLS: anybody in
    # between could speak for the server.
    if reader._buffer:  # type: ignore[attr-defined]
        raise SaidInClearError
    await writer.start_tls(context, server_hostname=host)
