"""The HTTP proxy port: heads in, then a tunnel (CONNECT) or one plain exchange after another."""

from __future__ import annotations

import asyncio

from casemate.egress.answers import refusal
from casemate.egress.channel import Channel
from casemate.egress.connection import Connection
from casemate.egress.errors import DeniedError, RequestRefusedError, UpstreamError
from casemate.egress.http_head import RequestHead, parse_request_head
from casemate.egress.plain_http import exchange, plain_target
from casemate.egress.target import Target, TargetError, parse_authority
from casemate.egress.tunnel import check_connect, tunnel


def _target(head: RequestHead) -> Target:
    """Return where a request wants to go. Raises RequestRefusedError."""
    try:
        if head.method == "CONNECT":
            target = parse_authority(head.target)
            check_connect(head, target)
            return target
        return plain_target(head)
    except TargetError as error:
        raise RequestRefusedError(error.message) from error


async def _read_head(client: Channel, seconds: float) -> RequestHead | None:
    """Return the next request's head, None if the client is done."""
    try:
        async with asyncio.timeout(seconds):
            raw = await client.read_head()
    except TimeoutError:
        raise RequestRefusedError("The head did not arrive in time.", status=408) from None
    return parse_request_head(raw) if raw else None


async def serve_http(connection: Connection, client: Channel) -> None:
    """Serve the proxy port until the client is done or sends what is refused."""
    target: Target | None = None
    seconds = connection.limits.head_time
    try:
        while head := await _read_head(client, seconds):
            target = None
            target = _target(head)
            rule = connection.access.decide(connection.rules, target)
            if head.method == "CONNECT":
                await tunnel(connection, client, rule, target)
                return
            if not await exchange(connection, client, head, rule, target):
                break
            seconds = connection.limits.keep_alive
    except DeniedError as error:
        connection.denied(target, error.reason)
        await client.send(refusal(error))
    except RequestRefusedError as error:
        connection.denied(target, f"refused request: {error.message}")
        await client.send(refusal(error))
    except UpstreamError as error:
        await client.send(refusal(error))
    await client.finish()
