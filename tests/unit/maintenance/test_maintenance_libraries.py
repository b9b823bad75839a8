"""The versions of C libraries are those that the libraries say."""

from __future__ import annotations

import re
import ssl

import pytest
from cryptography.hazmat.backends.openssl import backend

from casemate.maintenance import libraries as module
from casemate.maintenance.libraries import libraries


def test_every_openssl_is_told_apart() -> None:
    found = {one.bundled_in.split()[0]: one.version for one in libraries() if one.name == "OpenSSL"}
    assert found["cryptography"] == backend.openssl_version_text()
    assert found["Python"] == ssl.OPENSSL_VERSION
    assert re.match(r"OpenSSL \d+\.\d+\.\d+", found["sqlcipher3"] or "")


def test_what_a_library_says_is_printed_and_what_it_does_not_is_said_so() -> None:
    found = {(one.name, one.bundled_in.split()[0]): one.version for one in libraries()}
    for key in (("SQLite", "sqlcipher3"), ("SQLite", "Python"), ("libuv", "uvloop")):
        assert re.fullmatch(r"\d+\.\d+\.\d+", found[key] or ""), key
    assert found["SQLCipher", "sqlcipher3"] and found["zlib", "Python"]
    assert found["llhttp", "httptools"] is None


def test_a_library_that_cannot_be_asked_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(module.importlib, "import_module", absent)
    assert {one.version for one in libraries() if one.name == "libuv"} == {None}
