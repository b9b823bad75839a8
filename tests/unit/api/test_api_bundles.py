"""Uploading bundles: streamed, bounded, verified, nothing left behind."""

from __future__ import annotations

import asyncio

import pytest
from api_fake_control import OWNER_TEXT

from casemate.api import bundles

DIGEST = "d" * 64
PATH = f"/bundles/{DIGEST}"
GZIP = {"content-type": "application/gzip"}


def test_upload_and_ask(ask, control) -> None:
    assert ask("HEAD", PATH).status_code == 404

    async def pieces():
        for _ in range(40):
            yield b"x" * 65536

    response = ask("PUT", PATH, content=pieces(), headers=GZIP)
    assert response.status_code == 201
    assert response.json() == {"digest": DIGEST, "size": 40 * 65536}
    assert control.bundles[DIGEST] == b"x" * 40 * 65536
    assert ask("HEAD", PATH).status_code == 200
    assert ask("PUT", PATH, content=b"again", headers=GZIP).status_code == 200
    assert list(ask.spool.iterdir()) == []


def test_what_is_no_bundle_is_refused_and_leaves_nothing(ask, control) -> None:
    response = ask("PUT", PATH, content=b"junk", headers=GZIP)
    assert response.status_code == 422
    assert control.bundles == {}
    assert list(ask.spool.iterdir()) == []


def test_limit_holds_for_a_declared_and_for_a_counted_length(ask, monkeypatch, control) -> None:
    monkeypatch.setattr(bundles, "MAX_ARCHIVE_BYTES", 1000)
    assert ask("PUT", PATH, content=b"x" * 1001, headers=GZIP).status_code == 413

    async def pieces():
        for _ in range(11):
            yield b"x" * 100

    assert ask("PUT", PATH, content=pieces(), headers=GZIP).status_code == 413
    assert control.bundles == {}
    assert list(ask.spool.iterdir()) == []


@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream", "text/plain"])
def test_wrong_media_type(ask, kind) -> None:
    response = ask("PUT", PATH, content=b"x", headers={"content-type": kind})
    assert response.status_code == 415


@pytest.mark.parametrize("digest", ["d" * 63, "D" * 64, "d" * 64 + "%0A", "..%2f..", "d" * 65])
def test_what_is_no_digest(ask, digest) -> None:
    response = ask("PUT", f"/bundles/{digest}", content=b"x", headers=GZIP)
    assert response.status_code in (400, 404)


def test_a_client_that_leaves_in_the_middle_leaves_nothing(ask, control) -> None:
    messages = iter(
        [
            {"type": "http.request", "body": b"x" * 100, "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive():
        return next(messages)

    async def send(_message):
        pass

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/api/v1" + PATH,
        "query_string": b"",
        "headers": [
            (b"authorization", f"Bearer {OWNER_TEXT}".encode()),
            (b"content-type", b"application/gzip"),
        ],
    }
    asyncio.run(ask.app(scope, receive, send))
    assert control.bundles == {}
    assert list(ask.spool.iterdir()) == []


def test_what_there_is_no_room_for_is_not_received(ask, control) -> None:
    """Half a gigabyte was, for each that was refused."""
    assert ask("PUT", PATH, content=b"first", headers=GZIP).status_code == 201
    control.full = True
    sent: list[bytes] = []

    async def pieces():
        for _ in range(40):
            sent.append(b"x" * 65536)
            yield sent[-1]

    refused = ask("PUT", f"/bundles/{'e' * 64}", content=pieces(), headers=GZIP)
    assert refused.status_code == 429
    assert len(sent) <= 1 and list(ask.spool.iterdir()) == []
    # What is there already needs none.
    assert ask("PUT", PATH, content=b"again", headers=GZIP).status_code == 200


def test_uploads_at_the_same_time_are_bounded(ask) -> None:
    async def run() -> list[int]:
        import httpx2

        gate = asyncio.Event()

        async def slow():
            yield b"x"
            await gate.wait()
            yield b"y"

        transport = httpx2.ASGITransport(ask.app)
        headers = {**GZIP, "authorization": f"Bearer {OWNER_TEXT}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:
            url = "/api/v1" + PATH
            waiting = [
                asyncio.create_task(client.put(url, content=slow(), headers=headers))
                for _ in range(4)
            ]
            await asyncio.sleep(0.05)
            refused = await client.put(url, content=b"x", headers=headers)
            gate.set()
            done = await asyncio.gather(*waiting)
            later = await client.put(url, content=b"x", headers=headers)
        assert refused.headers["retry-after"]
        return [refused.status_code, *(r.status_code for r in done), later.status_code]

    first, *rest = asyncio.run(run())
    assert first == 429
    assert all(status in (200, 201) for status in rest)


def test_tokens_of_one_person_upload_no_more_than_the_person(ask, parts) -> None:
    """Six tokens of one held all places of a node, for as long as they went on sending."""

    async def run() -> list[int]:
        import httpx2

        gate = asyncio.Event()

        async def slow():
            yield b"x"
            await gate.wait()

        keys = [parts.accounts.add(f"cm_{number}", "developer@shop") for number in range(8)]
        parts.accounts.makers |= {f"token:{number}": "user:eve" for number in range(8)}
        transport = httpx2.ASGITransport(ask.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://node") as client:

            def put(key: str, content):
                headers = {**GZIP, "authorization": f"Bearer {key}"}
                return client.put("/api/v1" + PATH, content=content, headers=headers)

            waiting = [asyncio.create_task(put(key, slow())) for key in keys]
            await asyncio.sleep(0.1)
            other = await put(OWNER_TEXT, b"x")
            gate.set()
            return [other.status_code, *(r.status_code for r in await asyncio.gather(*waiting))]

    other, *theirs = asyncio.run(run())
    assert other in (200, 201)
    assert theirs.count(429) == 4


def test_pieces_are_told_of_to_who_may_deploy_the_function(ask, parts, control) -> None:
    control.pieces = {"c" * 64, "d" * 64}
    path, body = "/functions/shop/cart/pieces", {"digests": ["d" * 64, "e" * 64]}
    answer = ask("POST", path, json=body)
    assert (answer.status_code, answer.json()) == (200, {"digests": ["d" * 64]})
    for wrong in (["short"], ["d" * 64] * 501, "d" * 64):
        assert ask("POST", path, json={"digests": wrong}).status_code == 400
    key = parts.accounts.add("cm_dee", "developer@other")
    for digest in ("d" * 64, "e" * 64):
        assert ask("POST", path, key=key, json={"digests": [digest]}).status_code == 403


def test_code_alone_is_put_together_or_refused(ask, control) -> None:
    refused = ask("PUT", f"{PATH}?partial=true", content=b"x", headers=GZIP)
    assert refused.status_code == 409 and control.bundles == {}
    control.pieces = {"d" * 64}
    assert ask("PUT", f"{PATH}?partial=true", content=b"x", headers=GZIP).status_code == 201
    assert ask("PUT", f"{PATH}?partial=1", content=b"x", headers=GZIP).status_code == 400
