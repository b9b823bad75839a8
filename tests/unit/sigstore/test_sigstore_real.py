"""Attestations of public packages, verified with the keys of the public Sigstore that lie here."""

from __future__ import annotations

import hashlib
import json
import tomllib
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from casemate.package_index import UnverifiedError
from casemate.package_index.publishers import publisher_of
from casemate.sigstore import (
    Attestation,
    AttestationError,
    TrustedRootError,
    of_attestation,
    public_good,
    read_bundle,
    read_root,
    verified,
)

FOLDER = Path(__file__).parent / "attestations"
DIGESTS = {
    "pypi_attestations-0.0.19.tar.gz": (
        "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3"
    ),
    "gcb_attestation_test-0.0.0.tar.gz": (
        "461317362419124b6012e855423a9078d6de8aed3e74fa78cc74d669b23dc6cf"
    ),
    "gitlab_oidc_project-0.0.3.tar.gz": (
        "c1ca9b0d85df1606451098233018534497bf584362e10e4a8c21dfaea92c02a8"
    ),
    "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl": (
        "8cb34da1e27336f11a2c43f3f9c7433bd76f24f470c904724f06ad7f131d9e9f"
    ),
}
PUBLISHERS = {
    "pypi_attestations-0.0.19.tar.gz": "GitHub:trailofbits/pypi-attestations:release.yml",
    "gcb_attestation_test-0.0.0.tar.gz": (
        "Google:919436158236-compute@developer.gserviceaccount.com"
    ),
    "gitlab_oidc_project-0.0.3.tar.gz": "GitLab:facutuesca/gitlab-oidc-project:.gitlab-ci.yml",
    "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl": (
        "CircleCI:fdd9283f-e619-46af-8f9c-851f7d3e8b2b:8e4f8ab2-8d7c-4827-9f15-de076d6d647f"
    ),
}


def told(name: str) -> bytes:
    return (FOLDER / f"{name}.provenance.json").read_bytes()


@pytest.mark.parametrize("name", sorted(PUBLISHERS))
def test_publishers_of_public_packages(name: str) -> None:
    assert publisher_of(told(name), name, DIGESTS[name], public_good()) == PUBLISHERS[name]


@pytest.mark.parametrize("name", sorted(PUBLISHERS))
def test_the_same_of_another_file_or_publisher_is_refused(name: str) -> None:
    with pytest.raises(UnverifiedError, match="of another file"):
        publisher_of(told(name), name, "0" * 64, public_good())
    other = next(each for each in sorted(PUBLISHERS) if each != name)
    with pytest.raises(UnverifiedError, match="of another file"):
        publisher_of(told(other), name, DIGESTS[name], public_good())
    document = json.loads(told(name))
    publisher = document["attestation_bundles"][0]["publisher"]
    for key in ("repository", "email", "project_id"):
        if key in publisher:
            publisher[key] = "somebody"
    with pytest.raises(UnverifiedError, match=r"somebody.* was signed by"):
        publisher_of(json.dumps(document).encode(), name, DIGESTS[name], public_good())


def test_provenance_of_a_build_and_a_bundle() -> None:
    data = (FOLDER / "pypi_attestations-0.0.19.tar.gz.slsa.json").read_bytes()
    read = msgspec.json.decode(data, type=Attestation)
    assert verified(of_attestation(read), public_good()).identity[1:] == (
        "trailofbits/pypi-attestations",
        "release.yml",
    )
    bundle = (FOLDER / "pypi_attestation_models-0.0.4a2.tar.gz.sigstore.json").read_bytes()
    found = verified(read_bundle(bundle), public_good())
    assert found.identity[1] == "trailofbits/pypi-attestation-models"
    digest = "c9709ce6fd5b67b59b4a28758cf14d3f411803c4b89b6068b1f1a8e4ee94c8ef"
    assert digest.encode() in found.payload


def test_the_staging_instance_is_not_trusted() -> None:
    data = (FOLDER / "rfc8785-0.1.2-py3-none-any.whl.staging.json").read_bytes()
    with pytest.raises(AttestationError, match="no log of the trusted root"):
        verified(of_attestation(msgspec.json.decode(data, type=Attestation)), public_good())


def test_the_trusted_keys_are_those_of_their_source() -> None:
    here = resources.files("casemate.sigstore")
    said = tomllib.loads((here / "trusted_root.toml").read_text())
    data = (here / "trusted_root.json").read_bytes()
    assert hashlib.sha256(data).hexdigest() == said["sha256"]
    root = public_good()
    assert (len(root.authorities), len(root.signature_logs), len(root.certificate_logs)) == (
        2,
        2,
        2,
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[" * 100_000,
        b" " * ((1 << 20) + 1),
        b'{"mediaType": "x", "tlogs": [], "certificateAuthorities": [], "ctlogs": []}',
        b'{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",'
        b' "tlogs": [], "certificateAuthorities": [], "ctlogs": []}',
    ],
)
def test_files_that_trust_nothing_are_refused(data: bytes) -> None:
    with pytest.raises(TrustedRootError):
        read_root(data, "trusted.json")


@pytest.mark.parametrize("part", ["tlogs", "ctlogs", "certificateAuthorities"])
def test_a_root_without_one_kind_of_keys_is_refused(part: str) -> None:
    document = json.loads((resources.files("casemate.sigstore") / "trusted_root.json").read_text())
    for wrong in ([], document[part] * 65, [{}]):
        with pytest.raises(TrustedRootError):
            read_root(json.dumps({**document, part: wrong}).encode(), "trusted.json")
