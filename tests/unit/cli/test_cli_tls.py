"""What the command line trusts."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.certificates import issuing as certificates
from casemate.cli.authority import (
    client_context,
    fingerprint_of,
    naming_option,
    parse_fingerprint,
)
from casemate.cli.errors import CommandError, UsageError

NAMES = certificates.Names.of(["localhost"])
CA = certificates.new_authority(NAMES, datetime.now(UTC)).certificate.decode()


def test_a_fingerprint_in_each_of_its_spellings() -> None:
    plain = certificates.fingerprint(CA.encode())
    assert fingerprint_of(CA) == plain
    colons = ":".join(plain[i : i + 2] for i in range(0, 64, 2))
    for text in (plain, plain.upper(), f" {plain}\n", colons, f"SHA256:{colons}"):
        assert parse_fingerprint(text) == plain


def test_what_another_command_needs_to_trust_the_same_authority() -> None:
    assert naming_option(CA) == f" --ca-fingerprint {fingerprint_of(CA)}"
    assert naming_option(None) == naming_option(CA + CA) == ""  # those of the system, or several


@given(st.text(max_size=100))
def test_what_is_no_fingerprint(text: str) -> None:
    try:
        assert len(parse_fingerprint(text)) == 64
    except UsageError as error:
        assert error.next_step


@pytest.mark.parametrize("text", ["", "x", CA + CA, CA[:-40], CA.replace("M", "!", 1)])
def test_what_is_not_one_certificate(text: str) -> None:
    with pytest.raises(CommandError):
        fingerprint_of(text)


def test_a_pinned_authority_is_trusted_alone() -> None:
    context = client_context(CA)
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    with pytest.raises(CommandError):
        client_context("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
