"""CONNECT: a tunnel to a granted host, whose first bytes must be for that host.

A name's address is often shared by many names (a CDN, a load balancer), told apart only by what
the client sends first. So TLS must name the tunnel's host, and on the ports of HTTP nothing but TLS
goes through: plain HTTP takes the proxy's other way, where Host is checked. On other ports anything
that does not start like TLS is passed on, from the server at once: there it may speak first.
"""

from __future__ import annotations

import asyncio

from casemate.egress.answers import ESTABLISHED
from casemate.egress.channel import Channel, pump, relay, stop
from casemate.egress.connection import Connection
from casemate.egress.errors import RequestRefusedError
from casemate.egress.http_head import RequestHead
from casemate.egress.rules import Rule
from casemate.egress.target import Target, parse_authority
from casemate.egress.tls import ACCESS_DENIED, HANDSHAKE, HelloError, is_hello_for

TLS_ONLY_PORTS = frozenset((80, 443))


def check_connect(head: RequestHead, target: Target) -> None:
    """Refuse a CONNECT with a body or another host in Host. Raises RequestRefusedError."""
    if head.fields.values("transfer-encoding") or set(head.fields.values("content-length")) - {"0"}:
        raise RequestRefusedError("A CONNECT request has no body.")
    hosts = head.fields.values("host")
    if len(hosts) > 1:
        raise RequestRefusedError("There is more than one Host field.")
    if hosts and parse_authority(hosts[0], default_port=target.port) != target:
        raise RequestRefusedError("The Host field names another host than the request line.")


async def _first_bytes(client: Channel, target: Target) -> bytes:
    """Return the client's first bytes once they may be passed on. Raises HelloError."""
    data = await client.read()
    if data[:1] != bytes((HANDSHAKE,)):
        if data and target.port in TLS_ONLY_PORTS:
            raise HelloError(
                "On this port a tunnel carries TLS only.",
                next_step="Send plain HTTP to the proxy with the whole http:// URL.",
            )
        return data
    while not is_hello_for(target, data):
        more = await client.read()
        if not more:
            raise HelloError("The ClientHello breaks off.")
        data += more
    return data


async def _checked(
    connection: Connection, client: Channel, rule: Rule, target: Target
) -> bytes | None:
    """Return the client's first bytes; None if the tunnel is to end, which the client is told."""
    # Without a limit only where the server may speak first.
    seconds = connection.limits.hello_time if target.port in TLS_ONLY_PORTS else None
    try:
        async with asyncio.timeout(seconds):
            first = await _first_bytes(client, target)
    except TimeoutError:
        reason = "The ClientHello did not arrive in time."
    except HelloError as error:
        reason = error.message
    else:
        connection.allowed(rule, target)
        return first
    connection.denied(target, reason)
    await client.send(ACCESS_DENIED)
    await client.finish()
    return None


async def tunnel(connection: Connection, client: Channel, rule: Rule, target: Target) -> None:
    """Connect, then carry bytes until both ends are done. Raises DeniedError, UpstreamError."""
    upstream = await connection.connect(rule, target)
    await client.send(ESTABLISHED)
    if target.port in TLS_ONLY_PORTS:
        first = await _checked(connection, client, rule, target)
        if first is not None:
            await upstream.send(first)
            await relay(client, upstream)
        return
    answers = asyncio.ensure_future(pump(upstream, client))
    try:
        first = await _checked(connection, client, rule, target)
        if first is not None:
            await upstream.send(first)
            await asyncio.gather(pump(client, upstream), answers)
    finally:
        await stop(answers)
