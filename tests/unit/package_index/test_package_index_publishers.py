from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import date

import pytest

from casemate.package_index import (
    Allow,
    IndexAnswerError,
    Policy,
    PublisherChangedError,
    Selection,
    Upstream,
    origins_of,
    pins_of,
    recorded,
)
from casemate.package_index.policy import RecordedException
from casemate.package_index.publishers import publisher_of
from support.package_index import FakeIndex, provenance

Select = Callable[..., Selection]
HASH = "a" * 64


def test_a_publisher_is_one_word() -> None:
    data = provenance("six-1.0.whl", HASH, "owner/six")
    assert publisher_of(data, "six-1.0.whl", HASH) == "GitHub:owner/six:publish.yml"


@pytest.mark.parametrize(("name", "digest"), [("six-2.0.whl", HASH), ("six-1.0.whl", "b" * 64)])
def test_an_attestation_of_another_file_is_a_lie(name: str, digest: str) -> None:
    with pytest.raises(IndexAnswerError, match="of another file"):
        publisher_of(provenance(name, digest, "owner/six"), "six-1.0.whl", HASH)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[" * 100_000,
        b"{}",
        json.dumps(
            {
                "attestation_bundles": [
                    {"publisher": {"kind": "x"}, "attestations": [{"envelope": {"statement": "!"}}]}
                ]
            }
        ).encode(),
        json.dumps(
            {
                "attestation_bundles": [
                    {
                        "publisher": {"kind": "x"},
                        "attestations": [
                            {"envelope": {"statement": base64.b64encode(b"[" * 9999).decode()}}
                        ],
                    }
                ]
            }
        ).encode(),
        json.dumps(
            {"attestation_bundles": [{"publisher": {"kind": "x"}, "attestations": []}] * 21}
        ).encode(),
    ],
)
def test_what_cannot_be_read_is_an_error(data: bytes) -> None:
    with pytest.raises(IndexAnswerError):
        publisher_of(data, "six-1.0.whl", HASH)


def lock_of(
    index: FakeIndex, version: str, select: Select, upstream: Upstream, **more: object
) -> str:
    """Lock alpha as uv would have, and record."""
    before = str(more.get("before", ""))
    selection = select(index, **more)
    releases = selection.releases("alpha") or ()
    (release,) = (each for each in releases if each.version == version)
    text = f"alpha=={version} \\\n    --hash=sha256:{release.sha256}\n"
    held, known = pins_of(before), origins_of(before)
    return recorded(text, selection, upstream, before=known, held=held, fits=lambda _: True)


def test_a_publisher_is_pinned_and_a_change_is_refused(
    index: FakeIndex, select: Select, upstream: Upstream
) -> None:
    index.add("alpha", publisher="owner/alpha")
    index.add("alpha", version="2.0", publisher="owner/alpha")
    index.add("alpha", version="3.0", publisher="thief/alpha")
    index.add("alpha", version="4.0")
    first = lock_of(index, "1.0", select, upstream)
    assert origins_of(first)["alpha"].publisher == "GitHub:owner/alpha:publish.yml"
    assert origins_of(first)["alpha"].index == f"{index.url}/simple"
    assert origins_of(first)["alpha"].uploaded == "2026-01-01T00:00:00Z"
    assert "2.0" in lock_of(index, "2.0", select, upstream, before=first)
    with pytest.raises(PublisherChangedError, match="thief/alpha"):
        lock_of(index, "3.0", select, upstream, before=first)
    with pytest.raises(PublisherChangedError, match="by nobody"):
        lock_of(index, "4.0", select, upstream, before=first)
    for version, publisher in (("3.0", "GitHub:thief/alpha:publish.yml"), ("4.0", "nobody")):
        approved = RecordedException(
            package="alpha",
            allow=(Allow.PUBLISHER,),
            publisher=publisher,
            reason="moved",
            expires=date(2026, 12, 1),
        )
        policy = Policy(exception=(approved,))
        lock_of(index, version, select, upstream, before=first, policy=policy)
        with pytest.raises(PublisherChangedError):
            lock_of(
                index,
                "3.0" if version == "4.0" else "4.0",
                select,
                upstream,
                before=first,
                policy=policy,
            )


def test_attestations_that_are_missing_matter_where_a_publisher_is_pinned(
    index: FakeIndex, select: Select, upstream: Upstream
) -> None:
    made = index.add("alpha", publisher="owner/alpha")
    second = index.add("alpha", version="2.0", publisher="owner/alpha")
    first = lock_of(index, "1.0", select, upstream)
    made.provenance = second.provenance = b"<html>"
    assert origins_of(lock_of(index, "1.0", select, upstream))["alpha"].publisher is None
    with pytest.raises(IndexAnswerError):
        lock_of(index, "2.0", select, upstream, before=first)
    # What stays as it is is not looked up again.
    assert origins_of(lock_of(index, "1.0", select, upstream, before=first)) == origins_of(first)
