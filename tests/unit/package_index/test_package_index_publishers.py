from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from datetime import date
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from casemate.package_index import (
    Allow,
    IndexAnswerError,
    PackagePolicyError,
    Policy,
    PublisherChangedError,
    Selection,
    UnverifiedError,
    Upstream,
    origins_of,
    pins_of,
    read_policy,
    read_trusted,
    recorded,
)
from casemate.package_index.policy import RecordedException
from casemate.package_index.publishers import publisher_of
from casemate.sigstore import TrustedRootError, read_root
from support.package_index import FakeIndex, provenance, told_provenance
from support.sigstore_keys import Made, github, own_sigstore, statement

Select = Callable[..., Selection]
HASH = "a" * 64
ROOT = read_root(own_sigstore().trusted_root(), "trusted.json")


def test_a_publisher_is_one_word() -> None:
    data = provenance("six-1.0.whl", HASH, "owner/six")
    assert publisher_of(data, "six-1.0.whl", HASH, ROOT) == "GitHub:owner/six:publish.yml"


@pytest.mark.parametrize(("name", "digest"), [("six-2.0.whl", HASH), ("six-1.0.whl", "b" * 64)])
def test_an_attestation_of_another_file_is_a_lie(name: str, digest: str) -> None:
    with pytest.raises(IndexAnswerError, match="of another file"):
        publisher_of(provenance(name, digest, "owner/six"), "six-1.0.whl", HASH, ROOT)


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
        publisher_of(data, "six-1.0.whl", HASH, ROOT)


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


def attested_by_hand(exception: Allow, publisher: str | None = None) -> RecordedException:
    return RecordedException(
        package="alpha",
        allow=(exception,),
        publisher=publisher,
        reason="looked at",
        expires=date(2026, 12, 1),
    )


def broken(one: Made) -> None:
    one.signature = b"AA"


def test_an_attestation_that_does_not_hold_is_refused_pinned_or_not(
    index: FakeIndex, select: Select, upstream: Upstream
) -> None:
    made = index.add("alpha")
    made.provenance = provenance(made.name, made.sha256, "owner/alpha", made=broken)
    with pytest.raises(UnverifiedError, match="Its signature does not hold") as caught:
        lock_of(index, "1.0", select, upstream)
    assert 'allow = ["attestation"]' in str(caught.value)
    policy = Policy(exception=(attested_by_hand(Allow.ATTESTATION),))
    accepted = origins_of(lock_of(index, "1.0", select, upstream, policy=policy))["alpha"]
    assert (accepted.publisher, accepted.verified) == (None, False)
    # An exception of another kind accepts no forgery, and that one no change of publisher.
    policy = Policy(
        exception=(attested_by_hand(Allow.PUBLISHER, "GitHub:owner/alpha:publish.yml"),)
    )
    with pytest.raises(UnverifiedError):
        lock_of(index, "1.0", select, upstream, policy=policy)
    index.add("alpha", version="0.9", publisher="owner/alpha")
    before = lock_of(index, "0.9", select, upstream)
    policy = Policy(exception=(attested_by_hand(Allow.ATTESTATION),))
    with pytest.raises(PublisherChangedError, match="by nobody"):
        lock_of(index, "1.0", select, upstream, before=before, policy=policy)


def test_an_index_that_names_another_than_who_signed_is_refused(
    index: FakeIndex, select: Select, upstream: Upstream
) -> None:
    made = index.add("alpha")
    made.provenance = provenance(made.name, made.sha256, "thief/alpha", said="owner/alpha")
    with pytest.raises(UnverifiedError, match=r"signed by GitHub:thief/alpha:publish\.yml"):
        lock_of(index, "1.0", select, upstream)


def test_an_attestation_of_another_package_is_refused(
    index: FakeIndex, select: Select, upstream: Upstream
) -> None:
    other = index.add("beta", publisher="owner/beta")
    index.add("alpha").provenance = other.provenance
    with pytest.raises(UnverifiedError, match="of another file"):
        lock_of(index, "1.0", select, upstream)
    # Nor one of the same name and another content.
    made = index.add("alpha", version="2.0")
    made.provenance = provenance(made.name, "b" * 64, "owner/alpha")
    with pytest.raises(UnverifiedError, match="of another file"):
        lock_of(index, "2.0", select, upstream)


def test_one_false_attestation_among_true_ones_is_refused() -> None:
    true = json.loads(provenance("six-1.0.whl", HASH, "owner/six"))
    false = json.loads(provenance("six-1.0.whl", HASH, "owner/six", made=broken))
    for bundles in ([true, false], [false, true]):
        document = {"attestation_bundles": [each["attestation_bundles"][0] for each in bundles]}
        with pytest.raises(UnverifiedError):
            publisher_of(json.dumps(document).encode(), "six-1.0.whl", HASH, ROOT)


def test_a_statement_that_is_not_of_a_publication_names_nobody() -> None:
    one = own_sigstore().made(
        statement("six-1.0.whl", HASH, "https://example.com/withdrawn"), github("owner/six")
    )
    data = told_provenance(one.attestation(), "owner/six")
    assert publisher_of(data, "six-1.0.whl", HASH, ROOT) is None


def test_names_of_a_file_that_mean_the_same_are_one() -> None:
    data = provenance("a_b-1.0-py3-none-any.whl", HASH, "owner/six")
    assert publisher_of(data, "A.b-1.0-py3-none-any.whl", HASH, ROOT) is not None
    for other in ("a_b-1.0.1-py3-none-any.whl", "a_c-1.0-py3-none-any.whl", "a_b-1.0.tar.gz"):
        with pytest.raises(UnverifiedError, match="of another file"):
            publisher_of(data, other, HASH, ROOT)


def test_long_publishers_are_told_from_each_other() -> None:
    words = set()
    for end in "ab":
        repository = f"owner/{'x' * 300}{end}"
        data = provenance("six-1.0.whl", HASH, repository)
        words.add(publisher_of(data, "six-1.0.whl", HASH, ROOT))
    assert len(words) == 2
    assert all(word and len(word) <= 200 for word in words)


def test_too_many_attestations_are_not_verified() -> None:
    document = json.loads(provenance("six-1.0.whl", HASH, "owner/six"))
    document["attestation_bundles"][0]["attestations"] *= 21
    with pytest.raises(IndexAnswerError, match="more than 20"):
        publisher_of(json.dumps(document).encode(), "six-1.0.whl", HASH, ROOT)


def test_a_publisher_of_an_older_lock_is_looked_up_once(
    index: FakeIndex, select: Select, upstream: Upstream
) -> None:
    made = index.add("alpha", publisher="owner/alpha")
    verified = lock_of(index, "1.0", select, upstream)
    assert verified.endswith(" GitHub:owner/alpha:publish.yml verified\n")
    old = verified.replace(" verified\n", "\n")
    assert not origins_of(old)["alpha"].verified
    assert lock_of(index, "1.0", select, upstream, before=old) == verified
    # What the index was believed then is not believed now.
    lied = old.replace("owner/alpha", "another/alpha")
    with pytest.raises(PublisherChangedError, match="published by GitHub:owner/alpha"):
        lock_of(index, "1.0", select, upstream, before=lied)
    # Where nothing can be looked up, the word stays that of the index.
    made.provenance = b"<html>"
    assert lock_of(index, "1.0", select, upstream, before=old) == old
    asked = len(index.asked)
    lock_of(index, "1.0", select, upstream, before=verified)
    assert not [each for each in index.asked[asked:] if "provenance" in each]


def test_a_hundred_megabytes_of_attestations_are_not_read(
    index: FakeIndex, select: Select, upstream: Upstream
) -> None:
    index.add("alpha", publisher="owner/alpha")
    before = lock_of(index, "1.0", select, upstream)
    index.add("alpha", version="2.0", publisher="owner/alpha")
    sent = 0

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        nonlocal sent
        if "provenance" not in handler.path:
            return False
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        with contextlib.suppress(OSError):
            for _ in range(1600):
                handler.wfile.write(b"[" * 65536)
                sent += 65536
        return True

    index.answer = answer
    with pytest.raises(IndexAnswerError, match="more than 4194304 bytes"):
        lock_of(index, "2.0", select, upstream, before=before)
    assert sent < 32 << 20


def test_a_project_names_whose_attestations_it_believes(tmp_path: Path) -> None:
    (tmp_path / "trusted.json").write_bytes(own_sigstore().trusted_root())
    policy = Policy(trusted_root="trusted.json")
    assert read_trusted(tmp_path, Policy()) is None
    root = read_trusted(tmp_path, policy)
    assert root is not None
    assert root.signature_logs.keys() == ROOT.signature_logs.keys()
    with pytest.raises(PackagePolicyError, match=r"no file 'other\.json'"):
        read_trusted(tmp_path, Policy(trusted_root="other.json"))
    (tmp_path / "link.json").symlink_to(tmp_path / "trusted.json")
    with pytest.raises(PackagePolicyError, match="cannot be read"):
        read_trusted(tmp_path, Policy(trusted_root="link.json"))
    (tmp_path / "large.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(PackagePolicyError, match="larger than"):
        read_trusted(tmp_path, Policy(trusted_root="large.json"))
    (tmp_path / "broken.json").write_bytes(b"{}")
    with pytest.raises(TrustedRootError, match=r"broken\.json"):
        read_trusted(tmp_path, Policy(trusted_root="broken.json"))


@pytest.mark.parametrize("name", ["../trusted.json", "/etc/passwd", "a/b", ".hidden", "a b"])
def test_trusted_keys_lie_beside_the_rules(tmp_path: Path, name: str) -> None:
    (tmp_path / "casemate-packages.toml").write_text(f'trusted-root = "{name}"\n')
    with pytest.raises(PackagePolicyError, match="trusted-root"):
        read_policy(tmp_path, today=date(2026, 11, 27))
