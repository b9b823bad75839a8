"""Plain HTTP through the proxy (RFC 9112, section 3.2.2): one decision, one connection to the
origin and one exchange for each request, whatever the client's connection is kept for.
"""

from __future__ import annotations

import asyncio

from casemate.egress.channel import Channel, stop
from casemate.egress.connection import Connection
from casemate.egress.errors import RequestRefusedError, UpstreamError
from casemate.egress.http_body import copy_body
from casemate.egress.http_head import (
    NO_BODY,
    Body,
    Field,
    RequestHead,
    ResponseHead,
    parse_response_head,
    render,
)
from casemate.egress.rules import Rule
from casemate.egress.target import Target, parse_authority

_SCHEME = "http://"
_VIA = ("Via", "1.1 casemate")
_MAX_INTERIM = 8


def plain_target(head: RequestHead) -> Target:
    """Return where an absolute-form request goes. Raises RequestRefusedError, TargetError."""
    if head.target[: len(_SCHEME)].lower() != _SCHEME:
        raise RequestRefusedError(
            "The request names no http:// URL; for https:// the proxy takes CONNECT."
        )
    target = parse_authority(_split(head)[0], default_port=80)
    hosts = head.fields.values("host")
    if len(hosts) > 1 or (not hosts and head.minor == 1):
        raise RequestRefusedError("There is not exactly one Host field.")
    if hosts and parse_authority(hosts[0], default_port=80) != target:
        raise RequestRefusedError("The Host field names another host than the URL.")
    return target


def _split(head: RequestHead) -> tuple[str, str]:
    """Return authority and path of the URL. Raises RequestRefusedError."""
    rest = head.target[len(_SCHEME) :]
    if "#" in rest or "\\" in rest:
        raise RequestRefusedError("The URL holds a character that no URL in a request holds.")
    size = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    authority, path = rest[:size], rest[size:]
    if not path:
        path = "*" if head.method == "OPTIONS" else "/"
    return authority, path if path.startswith(("/", "*")) else f"/{path}"


def _framing(body: Body) -> list[Field]:
    return [("Transfer-Encoding", "chunked")] if body.chunked else []


def _onward(head: RequestHead, target: Target, body: Body) -> bytes:
    fields = [field for field in head.fields.end_to_end() if field[0].lower() != "host"]
    host = target.text if target.port != 80 else target.text.removesuffix(":80")
    line = f"{head.method} {_split(head)[1]} HTTP/1.1"
    return render(line, [("Host", host), *fields, *_framing(body), _VIA, ("Connection", "close")])


def _back(head: ResponseHead, body: Body, *, keep: bool) -> bytes:
    fields = [*head.fields.end_to_end(), *_framing(body), _VIA]
    if head.status < 200 or head.status == 204:
        # There is no body, whatever they say; a client that believes them waits for one.
        fields = [field for field in fields if field[0].lower() != "content-length"]
    if head.status >= 200:
        fields.append(("Connection", "keep-alive" if keep else "close"))
    return render(f"HTTP/1.1 {head.status} {head.reason}", fields)


class Exchange:
    """One request and its response, between a client and an origin of its own."""

    def __init__(self, client: Channel, upstream: Channel, head: RequestHead) -> None:
        """Take both ends, connected, and the request's head."""
        self._client = client
        self._upstream = upstream
        self._head = head
        self.answered = False
        """Whether the head of the final response is out: from then on there is no other answer."""

    async def send(self, onward: bytes, body: Body) -> None:
        """Pass on the request. Raises RequestRefusedError if its body breaks its framing."""
        await self._upstream.send(onward)
        await copy_body(body, self._client, self._upstream)

    async def answer(self) -> bool:
        """Pass on the response; return whether the client can send another request.

        Raises UpstreamError before anything was answered, OSError after.
        """
        try:
            head = await self._final_head()
            body = head.body(self._head.method)
            if body.chunked and self._head.minor == 0:
                raise RequestRefusedError("It is in chunks, and the request was HTTP/1.0.")
            closing = "close" in self._head.fields.tokens("connection")
            keep = self._head.minor == 1 and not body.until_close and not closing
            raw = _back(head, body, keep=keep)
        except RequestRefusedError as error:
            raise UpstreamError(
                f"The host's answer is not valid HTTP. {error.message}", status=502
            ) from error
        except OSError:
            raise UpstreamError("The host ended the connection.", status=502) from None
        self.answered = True
        await self._client.send(raw)
        try:
            await copy_body(body, self._upstream, self._client)
        except RequestRefusedError as error:
            # All that is left is to let the client see that the body broke off.
            raise ConnectionAbortedError("the answer broke off") from error
        return keep

    async def _final_head(self) -> ResponseHead:
        """Return the first head that is not interim; interim ones are passed on."""
        for _ in range(_MAX_INTERIM):
            raw = await self._upstream.read_head()
            if not raw:
                raise ConnectionResetError
            head = parse_response_head(raw)
            if head.status >= 200:
                return head
            if head.status == 101:
                raise RequestRefusedError("It switches protocols without having been asked to.")
            await self._client.send(_back(head, NO_BODY, keep=True))
        raise RequestRefusedError("There are too many interim responses.")


async def exchange(
    connection: Connection, client: Channel, head: RequestHead, rule: Rule, target: Target
) -> bool:
    """Carry one request and its response; return whether the client's connection can go on.

    Raises DeniedError, RequestRefusedError and UpstreamError as long as nothing was answered.
    """
    body = head.body
    onward = _onward(head, target, body)
    upstream = await connection.connect(rule, target)
    connection.allowed(rule, target)
    both = Exchange(client, upstream, head)
    sending = asyncio.ensure_future(both.send(onward, body))
    answering = asyncio.ensure_future(both.answer())
    try:
        await asyncio.wait((sending, answering), return_when=asyncio.FIRST_COMPLETED)
        failure = sending.exception() if sending.done() else None
        if isinstance(failure, RequestRefusedError):
            # The request turned out not to be one: nothing that it causes is passed on.
            if not both.answered:
                raise failure
            connection.denied(target, f"refused request: {failure.message}")
            raise ConnectionAbortedError("the request broke its framing") from failure
        keep = await answering
        # An answer that came before the end of the request leaves the rest of it unread.
        return keep and sending.done() and sending.exception() is None
    finally:
        await stop(sending)
        await stop(answering)
        connection.drop(upstream)
