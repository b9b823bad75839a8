"""The authority's certificate: public, read and nothing else, and only the node's own."""

from __future__ import annotations

import asyncio

import pytest

from casemate.delivery.wish import Wish
from casemate.front import AUTHORITY_PATH
from casemate.model.http import HttpResponse
from casemate.model.path import RawInvocation
from support.core import INVOKER_TOKEN, http_request
from support.front import Front

PEM = b"-----BEGIN CERTIFICATE-----\n"


class Tls:
    def __init__(self, authority: bytes | None) -> None:
        self.authority = authority


async def take(_raw: RawInvocation, _wish: Wish) -> HttpResponse:
    raise AssertionError("nothing is called here")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_it_is_given_to_anybody_before_a_body_is_read(method: str) -> None:
    front = Front(take, tls=Tls(PEM))
    answer = front.table.find(http_request(method, AUTHORITY_PATH).head)
    assert isinstance(answer, HttpResponse)
    assert (answer.status, answer.body) == (200, PEM)
    assert dict(answer.headers)[b"content-type"] == b"application/x-pem-file"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("key", [None, INVOKER_TOKEN])
def test_it_is_read_and_nothing_else(method: str, key: str | None) -> None:
    front = Front(take, tls=Tls(PEM))
    answer = asyncio.run(front.handle(http_request(method, AUTHORITY_PATH, key=key)))
    assert (answer.status, dict(answer.headers)[b"allow"]) == (405, b"GET, HEAD")


@pytest.mark.parametrize("tls", [None, Tls(None)])
def test_without_one_of_its_own_the_node_gives_none(tls: Tls | None) -> None:
    answer = asyncio.run(Front(take, tls=tls).handle(http_request("GET", AUTHORITY_PATH)))
    assert answer.status == 401


@pytest.mark.parametrize("path", [AUTHORITY_PATH + "/", "/" + AUTHORITY_PATH, "/api/v1/node"])
def test_no_other_path_is_answered_by_it(path: str) -> None:
    front = Front(take, tls=Tls(PEM))
    assert asyncio.run(front.handle(http_request("GET", path))).body != PEM
