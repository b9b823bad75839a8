"""What is not expected is refused: bodies, media types, queries, paths, methods."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from casemate.api.inputs import MAX_JSON_BYTES

VERSIONS = "/functions/shop/cart/versions"
JSON_TYPE = {"content-type": "application/json"}
GOOD = json.dumps({"digest": "a" * 64}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"digest": 1}',
        b'{"digest": "' + b"A" * 64 + b'"}',
        b'{"digest": "' + b"a" * 64 + b'\\n"}',
        b'{"digest": "' + b"a" * 64 + b'", "force": true}',
        b'{"digest": "' + b"a" * 64 + b'", "dry_run": 1}',
        b'{"digest": "\xff"}',
        b"[" * 60_000,
        GOOD + GOOD,
    ],
)
def test_malformed_bodies(ask, body) -> None:
    response = ask("POST", VERSIONS, content=body, headers=JSON_TYPE)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/jsonx"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_wrong_media_types(ask, headers) -> None:
    assert ask("POST", VERSIONS, content=GOOD, headers=headers).status_code == 415


def test_media_type_may_have_parameters(ask) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert ask("POST", VERSIONS, content=GOOD, headers=headers).status_code == 404


def test_too_large_by_its_own_word_and_by_count(ask) -> None:
    body = b" " * (MAX_JSON_BYTES + 1)
    assert ask("POST", VERSIONS, content=body, headers=JSON_TYPE).status_code == 413

    async def pieces():
        for _ in range(100):
            yield b" " * 1024

    assert ask("POST", VERSIONS, content=pieces(), headers=JSON_TYPE).status_code == 413


def test_compressed_body_is_not_expanded(ask) -> None:
    body = gzip.compress(b" " * 10_000_000)
    headers = {**JSON_TYPE, "content-encoding": "gzip"}
    assert ask("POST", VERSIONS, content=body, headers=headers).status_code == 415


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "limit=1e2",
        "limit=%D9%A1",
        "limit=-1",
        "limit=" + "9" * 5000,
        "limit=1&limit=2",
        "limti=5",
        "function=cart",
        "project=Shop",
        "project=%FF",
        "project",
        "&",
    ],
)
def test_wrong_queries(ask, query) -> None:
    assert ask("GET", f"/invocations?{query}").status_code in (400, 414)


@pytest.mark.parametrize("value", ["True", "1", "yes", ""])
def test_flags_are_true_or_false(ask, value) -> None:
    assert ask("GET", f"/logs?follow={value}").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/health"), ("GET", "/functions"), ("GET", "/node"), ("GET", "/whoami")],
)
def test_queries_where_none_is_expected(ask, method, path) -> None:
    assert ask(method, path + "?x=1").status_code == 400


def test_paths_and_methods_that_do_not_exist(ask) -> None:
    response = ask("GET", "/nothing")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert ask("GET", "/functions/").status_code == 404
    response = ask("POST", "/bundles/" + "a" * 64)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"HEAD", "PUT"}


@pytest.mark.parametrize("root", ["/functions/t/f", "/queues/t/jobs"])
@pytest.mark.parametrize("word", ["redrive", "purge"])
def test_allow_names_all_that_a_path_takes(ask, root, word) -> None:
    response = ask("DELETE", f"{root}/dead-letters/{word}")
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert "POST" in response.json()["detail"]


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_body_causes_a_fault(ask, body) -> None:
    response = ask("PUT", "/functions/a/b/aliases/live", content=body, headers=JSON_TYPE)
    assert response.status_code == 400


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_no_query_causes_a_fault(ask, query) -> None:
    query = query.replace("#", "")
    assert ask("GET", f"/logs?{query}").status_code in (200, 400)
