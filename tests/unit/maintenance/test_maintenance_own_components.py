"""Holes of what a node runs with: by the number, but where the distribution patches it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from casemate.build import RuntimeStatus
from casemate.build.interpreters import Interpreter
from casemate.host_support.standing import State
from casemate.maintenance import own_components
from casemate.maintenance.libraries import Library
from casemate.maintenance.own_components import standings

TODAY = date(2026, 11, 27)


def python(version: str, path: str) -> Interpreter:
    return Interpreter(
        version=version, path=Path(path), prefix=Path("/x"), stdlib=(), library=None,
        cache_tag="x", end_of_life=date(2030, 1, 1), end_of_life_source="",
        status=RuntimeStatus.SUPPORTED,
    )  # fmt: skip


def library(name: str, version: str | None, brought: str) -> Library:
    return Library(name=name, version=version, bundled_in=brought, use="")


def test_a_python_of_ones_own_is_judged_and_that_of_the_distribution_is_not() -> None:
    own, of_distribution = standings(
        TODAY,
        [python("3.12.1", "/opt/python/bin/python3.12"), python("3.13.5", "/usr/bin/python3.13")],
        [],
        [],
    )
    assert own.name == "vulnerabilities of python 3.12" and own.state is State.OPEN
    assert of_distribution.state is State.GOOD and "security updates" in of_distribution.detail


def test_what_a_package_brings_is_judged_and_named() -> None:
    found = [
        library("OpenSSL", "OpenSSL 3.6.0 1 Oct 2025", "sqlcipher3 0.6.4"),
        library("SQLite", None, "sqlcipher3 0.6.4"),
        library("zlib", "1.3.1", "Python 3.12.1"),
    ]
    openssl, sqlite = standings(TODAY, [], found, [])
    assert openssl.name == "vulnerabilities of OpenSSL in sqlcipher3"
    assert openssl.state is State.OPEN
    assert openssl.next_step.startswith(
        "It is a part of sqlcipher3 0.6.4: only a newer sqlcipher3 with OpenSSL 3."
    )
    assert openssl.next_step.endswith(" closes them, which comes with an update of Casemate.")
    assert sqlite.state is State.UNKNOWN
    assert "whether sqlcipher3 0.6.4 is its project's newest release" in sqlite.next_step


def test_the_interpreters_own_is_judged_unless_it_loads_the_systems() -> None:
    found = [library("OpenSSL", "OpenSSL 3.0.2 15 Mar 2022", "Python 3.12.1")]
    [own] = standings(TODAY, [], found, ["/opt/python/lib/libssl.so.3", "/usr/lib/libc.so.6"])
    assert own.state is State.OPEN
    [systems] = standings(TODAY, [], found, ["/usr/lib/x86_64-linux-gnu/libssl.so.3"])
    assert systems.state is State.GOOD and "the distribution's" in systems.detail


def test_this_process_maps_the_c_library() -> None:
    assert any("libc" in path for path in own_components._mapped())
