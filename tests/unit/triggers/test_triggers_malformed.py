"""Everything that must be refused: status, closed connection, no handler called."""

from __future__ import annotations

import pytest
from triggers_server import GET_CLOSE, run, serving

from casemate.triggers.http_server import HttpLimits

POST = b"POST /x HTTP/1.1\r\nHost: a\r\n"
G = b"GET /x HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

CASES = {
    # framing and smuggling
    "CL.TE": (POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE.CL": (POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
    "CL twice, different": (POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    "CL twice, same": (POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
    "CL list": (POST + b"Content-Length: 3, 3\r\n\r\nabc", 400),
    "CL plus": (POST + b"Content-Length: +3\r\n\r\nabc", 400),
    "CL minus": (POST + b"Content-Length: -3\r\n\r\nabc", 400),
    "CL hex": (POST + b"Content-Length: 0x3\r\n\r\nabc", 400),
    "CL empty": (POST + b"Content-Length:\r\n\r\n", 400),
    "CL inner space": (POST + b"Content-Length: 1 3\r\n\r\nabc", 400),
    "CL underscore": (POST + b"Content-Length: 1_0\r\n\r\nabc", 400),
    "CL overflow": (POST + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
    "CL 19 digits": (POST + b"Content-Length: 9999999999999999999\r\n\r\n", 400),
    "TE unknown": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "TE identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", 400),
    "TE gzip": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "TE chunked not last": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n", 400),
    "TE twice": (CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "TE vertical tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "TE in HTTP/1.0": (CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n", 400),
    "TE before colon": (POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "TE folded": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    # lines
    "obs-fold": (G + b"X: a\r\n b\r\n\r\n", 400),
    "fold of the first line": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "bare LF in fields": (G + b"X: a\nY: b\r\n\r\n", 400),
    "bare LF at the end": (G + b"X: a\r\n\n", 400),
    "bare LF everywhere": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare CR": (G + b"X: a\rY: b\r\n\r\n", 400),
    "CR CR LF": (G + b"X: a\r\r\n\r\n", 400),
    "two empty lines first": (b"\r\n\r\n" + GET_CLOSE, 400),
    "NUL in value": (G + b"X: a\0b\r\n\r\n", 400),
    "NUL in name": (G + b"X\0: b\r\n\r\n", 400),
    "space before colon": (G + b"X : a\r\n\r\n", 400),
    "tab before colon": (G + b"X\t: a\r\n\r\n", 400),
    "empty name": (G + b": a\r\n\r\n", 400),
    "no colon": (G + b"abc\r\n\r\n", 400),
    "parenthesis in name": (G + b"X(: a\r\n\r\n", 400),
    "quote in name": (G + b'X": a\r\n\r\n', 400),
    "non-ASCII name": (G + b"X\xe9: a\r\n\r\n", 400),
    "control in value": (G + b"X: a\x01b\r\n\r\n", 400),
    "DEL in value": (G + b"X: a\x7fb\r\n\r\n", 400),
    # fields that must be single
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "Host twice": (G + b"Host: b\r\n\r\n", 400),
    "Host empty": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "Host with path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "Host with user": (b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    "Host list": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    "Host with space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "Content-Type twice": (G + b"Content-Type: a/b\r\nContent-Type: a/c\r\n\r\n", 400),
    "Authorization twice": (G + b"Authorization: a\r\nauthorization: b\r\n\r\n", 400),
    "Expect unknown": (POST + b"Expect: 200-ok\r\nContent-Length: 1\r\n\r\na", 417),
    # request line
    "lower-case method": (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "unknown method": (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    "long method": (b"G" * 25 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "endless method": (b"G" * 5000, 400),
    "method with control": (b"G\x01T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space after the target": (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab between": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/1.10": (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    "RTSP": (b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", 400),
    "TLS handshake": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "Socks": (b"\x05\x01\x00", 400),
    # targets
    "control in target": (b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "non-ASCII target": (b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "half percent": (b"GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bad percent in query": (b"GET /?a=%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "encoded NUL": (b"GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "encoded CRLF": (b"GET /a%0d%0ab HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "broken UTF-8": (b"GET /a%ff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "dot segments": (b"GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "encoded dot segments": (b"GET /a/%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "dots between encoded slashes": (b"GET /a%2f..%2fb HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "backslash": (b"GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "relative": (b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "asterisk for GET": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "other scheme": (b"GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "authority with user": (b"GET http://u:p@a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "authority empty": (b"GET http:///b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    # sizes
    "long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "endless target": (b"GET /" + b"a" * 40000, 414),
    "long head": (G + b"X: " + b"a" * 33000 + b"\r\n\r\n", 431),
    "endless head": (G + b"X: a\r\n" * 9000, 431),
    "many fields": (G + b"X: a\r\n" * 100 + b"\r\n", 431),
    "declared body": (POST + b"Content-Length: 100001\r\n\r\n", 413),
    "declared huge": (POST + b"Content-Length: 999999999999999999\r\n\r\n", 413),
    # chunked bodies
    "chunk too large": (CHUNKED + b"186a1\r\n", 413),
    "chunk sum too large": (CHUNKED + b"186a0\r\n" + b"a" * 100_000 + b"\r\n1\r\nb\r\n", 413),
    "chunk 64 bits": (CHUNKED + b"ffffffffffffffff\r\n", 413),
    "chunk 17 digits": (CHUNKED + b"00000000000000001\r\na\r\n0\r\n\r\n", 400),
    "chunk 0x": (CHUNKED + b"0x1\r\na\r\n0\r\n\r\n", 400),
    "chunk sign": (CHUNKED + b"+1\r\na\r\n0\r\n\r\n", 400),
    "chunk space": (CHUNKED + b"1 \r\na\r\n0\r\n\r\n", 400),
    "chunk empty size": (CHUNKED + b"\r\n", 400),
    "chunk LF": (CHUNKED + b"1\na\r\n0\r\n\r\n", 400),
    "chunk data LF": (CHUNKED + b"1\r\na\n0\r\n\r\n", 400),
    "chunk longer than size": (CHUNKED + b"1\r\nab\r\n0\r\n\r\n", 400),
    "chunk extension with LF": (CHUNKED + b"1;a\nb\r\na\r\n0\r\n\r\n", 400),
    "chunk extension with CR": (CHUNKED + b"1;a\rb\r\na\r\n0\r\n\r\n", 400),
    "chunk extension too long": (CHUNKED + b"1;" + b"a" * 2000, 400),
    "chunk extensions all along": (CHUNKED + (b"1;" + b"a" * 900 + b"\r\nb\r\n") * 40, 400),
    "chunks of one byte": (CHUNKED + b"1\r\na\r\n" * 6000, 400),
    "trailer without colon": (CHUNKED + b"0\r\nabc\r\n\r\n", 400),
    "trailer with LF": (CHUNKED + b"0\r\na: b\n\r\n", 400),
    "trailer too long": (CHUNKED + b"0\r\n" + b"a: b\r\n" * 2000, 400),
    "trailer with a length": (CHUNKED + b"0\r\nContent-Length: 3\r\n\r\n", 400),
    "trailer with a coding": (CHUNKED + b"0\r\nA: b\r\ntransfer-ENCODING: chunked\r\n\r\n", 400),
    "trailer with a host": (CHUNKED + b"0\r\nHost: evil\r\n\r\n", 400),
    "trailer with a token": (CHUNKED + b"0\r\nAuthorization: Bearer x\r\n\r\n", 400),
    "trailer with an address": (CHUNKED + b"0\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n", 400),
    "trailer with space": (CHUNKED + b"0\r\na : b\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("by", ["whole", "bytes"])
def test_malformed_requests_are_refused_and_the_connection_closed(name: str, by: str) -> None:
    sent, status = CASES[name]
    if by == "bytes" and len(sent) > 1000:
        pieces = [sent[i : i + 997] for i in range(0, len(sent), 997)]
    else:
        pieces = [sent] if by == "whole" else [bytes([b]) for b in sent]

    async def main() -> None:
        async with serving(limits=HttpLimits(linger_seconds=5.0)) as served:
            client = await served.connect()
            for piece in pieces:
                await client.send(piece)
            await client.send(SMUGGLED)
            response = await client.response()
            assert response.status == status
            assert response.headers["connection"] == "close"
            assert response.headers["content-type"] == "application/problem+json"
            assert ("allow" in response.headers) is (status == 405)
            assert await client.closed()
            client.close()
            assert served.requests == []
            assert served.errors == []
            assert (await served.talk(GET_CLOSE)).startswith(b"HTTP/1.1 200 OK\r\n")
            await served.settled()

    run(main())


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/a.b/.well-known/...", "/a.b/.well-known/...", ""),
        (b"/%E2%82%AC/a%2Fb?x=%00%ff&y=|{}", "/%E2%82%AC/a%2Fb", "x=%00%ff&y=|{}"),
        (b"/?", "/", ""),
        (b"/a?b?c=/../", "/a", "b?c=/../"),
        (b"http://other:80/p?q", "/p", "q"),
        (b"HTTP://other?q", "/", "q"),
        (b"http://[::1]:8080/", "/", ""),
        (b"//double", "//double", ""),
    ],
)
def test_valid_targets_are_split(target: bytes, path: str, query: str) -> None:
    async def main() -> None:
        async with serving() as served:
            client = await served.connect()
            response = await client.get(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert response.status == 200
            client.close()
            head = served.requests[0].head
            assert (head.path, head.query) == (path, query)
            if b"other" in target:
                assert (head.header(b"host") or b"").startswith(b"other")

    run(main())
