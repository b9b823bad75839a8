"""Paths of refused requests: what reads as an address is shown, what may be a secret is not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.model.asked_path import CUT, MAX_PATH, asked_path


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/orders",
        "/orders/42/lines",
        "/wp-login.php",
        "/wp-admin/setup-config.php",
        "/.env",
        "/.git/config",
        "/api/v2/users",
        "/invoke/shop/cart",
        "/shop//cart/",
        "/release/1.12.3",
    ],
)
def test_addresses_are_shown_as_they_are(path: str) -> None:
    assert asked_path(path) == path


@pytest.mark.parametrize(
    "secret",
    [
        "cm_5eb69ff17c265336_rdqVCYsavnxLrGiIAJfgDmoImrLPQvO96ZuJDxz",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "3f2b8c1e-90ab-4c1d-8e2f-0123456789ab",
        "9f2c51aa03b1e7d4",
        "ghp_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ",
        "AKIAIOSFODNN7EXAMPLE",
        "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo",
        "ada@example.com",
        "4111111111111111",
        "hunter2!",
        "p%40ss",
        "a\x1b[2Jb",
        "Straße",
    ],
)
def test_what_may_be_a_secret_is_left_out(secret: str) -> None:
    assert asked_path(f"/reset/{secret}/now") == "/reset/*/now"


@given(st.text(max_size=3000))
def test_it_is_bounded_printable_and_one_line(text: str) -> None:
    shown = asked_path(f"/{text}")
    assert len(shown) <= MAX_PATH
    assert shown.isascii() and shown.isprintable() and "?" not in shown and " " not in shown


def test_the_rest_of_many_segments_is_cut() -> None:
    assert asked_path("/a" * 50) == "/a" * 8 + CUT
    assert asked_path("/" + "abcdefgh-" * 500).endswith(CUT)


@pytest.mark.parametrize("piece", ["a", "-a", ".a", "a1", "/a", "1.", "_"])
def test_it_takes_no_longer_for_hostile_paths(piece: str) -> None:
    began = time.process_time()
    for _ in range(100):
        asked_path("/" + piece * 20_000)
    assert time.process_time() - began < 0.5
