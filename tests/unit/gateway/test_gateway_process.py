"""What the gateway tells people at its start, and its end when its orderly one takes too long."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from casemate.gateway import process


def test_it_ends_at_once_and_says_so() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from casemate.gateway import process; process._end_at_once()"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "did not end in its time" in ended.stderr


@pytest.mark.parametrize(
    ("url", "known", "shown"),
    [
        ("https://127.0.0.1:8787", {}, "https://127.0.0.1:8787"),
        ("https://0.0.0.0:8787", {}, "https://localhost:8787"),
        ("http://0.0.0.0:8787", {}, "http://localhost:8787"),
        ("https://[::]:8787", {"tls_names": ("n.example.org",)}, "https://n.example.org:8787"),
        ("https://10.0.0.5:443", {"tls_names": ("n.example.org",)}, "https://10.0.0.5:443"),
        ("https://0.0.0.0:443", {"public_url": "https://n.example.org"}, "https://n.example.org"),
        (
            "https://0.0.0.0:443",
            {"tls_certificate": "/etc/own.pem"},
            "https://NAME_OF_THE_CERTIFICATE:443",
        ),
    ],
)
def test_the_login_that_is_shown_leads_to_a_name_of_the_certificate(
    url: str, known: dict[str, Any], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"json": False, "public_url": None, "tls_names": (), "tls_certificate": None}
    told |= {"recover_owner": False, "master_key_file": None}
    config = cast("Any", SimpleNamespace(**{**told, **known}))
    process._announce(config, url, "cm_token", None)
    assert f"casemate login {shown}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("url", "known", "shown"),
    [
        ("https://10.0.0.5:443", {}, "https://10.0.0.5:443"),
        ("https://0.0.0.0:443", {}, "https://host-7:443"),
        ("http://[::]:8787", {"tls_names": ("n.example.org",)}, "http://n.example.org:8787"),
        ("https://0.0.0.0:443", {"public_url": "https://n.example.org"}, "https://n.example.org"),
    ],
)
def test_other_nodes_are_told_an_address_that_can_be_asked(
    url: str, known: dict[str, Any], shown: str
) -> None:
    told = {"public_url": None, "tls_names": (), "tls_certificate": None}
    config = cast("Any", SimpleNamespace(**{**told, **known}))
    assert process._named(config, url, "host-7") == shown
