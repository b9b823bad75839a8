"""What a refused connection tells to add to the manifest is taken by the next deploy."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from casemate.egress.access import manifest_line
from casemate.egress.target import Target


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "100.64.0.1", "169.254.1.1", "::1"])
def test_an_address_inside_comes_with_what_it_needs(host: str) -> None:
    line = manifest_line(Target(host, 8899, ip_address(host)))
    assert line.endswith(', port = 8899, private = true, exception = "WHY" }]')


def test_localhost_does_as_well() -> None:
    assert "private = true" in manifest_line(Target("localhost", 80))


@pytest.mark.parametrize("host", ["8.8.8.8", "169.254.169.254"])
def test_nobody_is_told_to_open_more_than_that(host: str) -> None:
    """Metadata of a cloud among them: it takes a decision, not a line that is pasted."""
    assert manifest_line(Target(host, 80, ip_address(host))).endswith(", port = 80 }]")


def test_a_name_is_granted_alone() -> None:
    line = 'egress = [{ host = "api.example.com", port = 443 }]'
    assert manifest_line(Target("api.example.com", 443)) == line
