"""Certificates of the node's own authority and given ones: made, kept, renewed, reloaded."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from casemate.certificates import issuing as certificates
from casemate.certificates.given import GivenFiles
from casemate.certificates.host_names import host_names, parse_addresses
from casemate.certificates.issuing import Names
from casemate.certificates.key_pair import CertificateError, KeyPair
from casemate.certificates.own import OwnCertificate
from casemate.certificates.server_context import server_context
from casemate.certificates.tls import NodeTls
from casemate.model.errors import CasemateError
from casemate.operations.node import KeepNodeValue, ReadNodeValue

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = Names.of(["node.example.org", "192.0.2.7", "localhost", "127.0.0.1", "::1"])


class Refused(CasemateError):
    """The vault cannot unwrap that."""


class FakeVault:
    """Wraps as the vault does: authenticated, bound to the context."""

    def __init__(self) -> None:
        self.cipher = AESGCM(AESGCM.generate_key(256))

    async def wrap(self, context: str, value: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self.cipher.encrypt(nonce, value, context.encode())

    async def unwrap(self, context: str, wrapped: bytes) -> bytes:
        try:
            return self.cipher.decrypt(wrapped[:12], wrapped[12:], context.encode())
        except InvalidTag as error:
            raise Refused from error


class FakeStore:
    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def read(self, operation: ReadNodeValue) -> bytes | None:
        return self.values.get(operation.name)

    async def change(self, operation: KeepNodeValue) -> None:
        self.values[operation.name] = operation.value


class Place:
    """A node's vault and store, and a clock; `own` is the source as after a restart."""

    def __init__(self) -> None:
        self.vault, self.store = FakeVault(), FakeStore()
        self.now = time.time()
        self.reports: list[str] = []

    def own(self, *wanted: str, found: tuple[str, ...] = ("localhost",), new: bool = False):
        return OwnCertificate(
            self.vault,  # type: ignore[arg-type]
            self.store,  # type: ignore[arg-type]
            wanted=Names.of(wanted),
            found=Names.of(found),
            report=self.reports.append,
            new_authority=new,
            clock=lambda: self.now,
        )


@pytest.fixture
def place() -> Place:
    return Place()


def run(work: Awaitable[object]) -> object:
    async def main() -> object:
        return await work

    return asyncio.run(main())


def first(source: OwnCertificate) -> KeyPair:
    pair = run(source.first())
    assert isinstance(pair, KeyPair)
    return pair


# -- certificates ------------------------------------------------------------------------------


def test_an_authority_is_for_certificates_of_its_own_names_only() -> None:
    authority = certificates.new_authority(NAMES, NOW)
    loaded = certificates.load_certificate(authority.certificate)
    basic = loaded.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical and basic.value.ca and basic.value.path_length == 0
    constraints = loaded.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert loaded.not_valid_after_utc == NOW + timedelta(days=3650)
    assert b"PRIVATE" not in authority.certificate and "PRIVATE" not in repr(authority)


def test_a_server_s_certificate_is_short_lived_and_signs_none_itself() -> None:
    authority = certificates.new_authority(NAMES, NOW)
    pair = certificates.issue(authority, NAMES, NOW)
    loaded = certificates.load_certificate(pair.certificate)
    assert not loaded.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificates.names_of(pair.certificate) == NAMES
    assert certificates.ends_at(pair.certificate) == NOW + timedelta(days=90)
    assert NOW + timedelta(days=59) < certificates.renew_at(pair.certificate)
    assert certificates.renew_at(pair.certificate) < NOW + timedelta(days=61)
    assert certificates.is_by(pair.certificate, authority.certificate)
    assert not certificates.is_by(
        pair.certificate, certificates.new_authority(NAMES, NOW).certificate
    )


def test_a_certificate_never_outlives_its_authority() -> None:
    authority = certificates.new_authority(NAMES, NOW - timedelta(days=3640))
    pair = certificates.issue(authority, NAMES, NOW)
    assert certificates.ends_at(pair.certificate) == certificates.ends_at(authority.certificate)
    ended = certificates.new_authority(NAMES, NOW - timedelta(days=3651))
    with pytest.raises(CertificateError, match="ended"):
        certificates.issue(ended, NAMES, NOW)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("node.example.org", True),
        ("deep.below.node.example.org", True),
        ("*.node.example.org", True),
        ("evilnode.example.org", False),
        ("example.org", False),
        ("node.example.org.evil.test", False),
        ("10.1.2.3", True),
        ("fd00::17", True),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("8.8.8.8", False),
        ("2001:db8::1", False),
    ],
)
def test_what_the_authority_may_vouch_for(tmp_path: Path, name: str, allowed: bool) -> None:
    """Our own judgement agrees with that of OpenSSL, which is a client's."""
    authority = certificates.new_authority(NAMES, NOW)
    names = Names.of([name])
    assert (certificates.covered(authority.certificate, names) == names) is allowed
    pair = certificates.issue(authority, names, NOW)
    (tmp_path / "ca").write_bytes(authority.certificate)
    (tmp_path / "server").write_bytes(pair.certificate)
    done = subprocess.run(
        [
            *("openssl", "verify", "-x509_strict", "-purpose", "sslserver"),
            *("-CAfile", str(tmp_path / "ca"), str(tmp_path / "server")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) is allowed, done.stderr
    assert allowed or "permitted subtree violation" in done.stderr


@pytest.mark.parametrize(
    "text", ["", "a b", "-x", "a..b", "ex\u00e4mple.org", "a" * 64, "*", "a\n"]
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(CertificateError):
        Names.of([text])


@given(st.text(max_size=80))
def test_names_are_names_or_refused(text: str) -> None:
    try:
        names = Names.of([text])
    except CertificateError:
        return
    assert len(names) == 1
    assert Names.of([*names.dns, *names.addresses]) == names
    assert "".join(names.dns + names.addresses).isascii()


# -- the host's own names ------------------------------------------------------------------------


def test_the_addresses_of_interfaces() -> None:
    trie = "  |-- 10.0.0.0\n     /8 host LOCAL\n  |-- 10.1.2.3\n     /32 host LOCAL\n"
    trie += "  |-- 10.1.2.255\n     /32 link BROADCAST\n"
    inet6 = "fe800000000000000000000000000001 04 40 20 80     eth0\n"
    inet6 += "fd000000000000000000000000000002 04 40 00 82     eth0\n"
    assert parse_addresses(trie, inet6) == {"10.1.2.3", "fd00::2"}
    assert parse_addresses("", "") == set()


def test_what_listens_on_one_address_is_certified_for_that() -> None:
    names = host_names("192.0.2.9")
    assert {"127.0.0.1", "192.0.2.9", "::1"} == set(names.addresses)
    everywhere = host_names("0.0.0.0")
    assert "0.0.0.0" not in everywhere.addresses
    assert {"127.0.0.1", "::1"} <= set(everywhere.addresses)
    assert "localhost" in everywhere.dns


# -- the node's own authority --------------------------------------------------------------------


def test_a_restart_keeps_authority_and_certificate(place: Place) -> None:
    source = place.own("node.example.org")
    pair = first(source)
    again = place.own("node.example.org")
    assert first(again) == pair
    assert again.authority == source.authority
    assert certificates.names_of(pair.certificate).dns == ("localhost", "node.example.org")


def test_no_key_is_stored_in_clear(place: Place) -> None:
    pair = first(place.own("node.example.org"))
    secret = pair.key.split(b"\n")[1]
    for value in place.store.values.values():
        assert b"PRIVATE" not in value and secret not in value


def test_it_is_renewed_at_two_thirds_of_its_life(place: Place) -> None:
    source = place.own("node.example.org")
    pair = first(source)
    place.now += 59 * 86400
    assert run(source.changed()) is None
    place.now += 2 * 86400
    renewed = run(source.changed())
    assert isinstance(renewed, KeyPair) and renewed != pair
    assert certificates.is_by(renewed.certificate, source.authority or b"")
    assert run(source.changed()) is None
    assert first(place.own("node.example.org")) == renewed


def test_what_was_renewed_by_a_clock_that_was_far_ahead_is_made_anew(place: Place) -> None:
    """Else no client would connect until that time has come."""
    true = place.now
    source = place.own("node.example.org")
    first(source)
    place.now += 400 * 86400
    ahead = run(source.changed())
    assert isinstance(ahead, KeyPair)
    place.now = true
    right = run(source.changed())
    assert isinstance(right, KeyPair)
    assert certificates.begins_at(right.certificate).timestamp() <= true
    assert run(source.changed()) is None
    place.now += 400 * 86400
    again = run(place.own("node.example.org").first())
    place.now = true
    assert first(place.own("node.example.org")) != again


def test_before_the_authority_is_valid_it_starts_and_says_so(place: Place) -> None:
    true = place.now
    source = place.own("node.example.org")
    pair = first(source)
    for back in (3600, 200 * 86400):
        place.now = true - back
        assert first(place.own("node.example.org")) == pair
        assert "set it right" in place.reports[-1]
    # What has to be issued then is valid when that is.
    other = first(place.own("node.example.org", found=("localhost", "10.0.0.1")))
    authority = certificates.begins_at(source.authority or b"")
    assert certificates.begins_at(other.certificate) == authority
    assert certificates.ends_at(other.certificate) > authority


def test_a_node_starts_before_its_authority_is_valid(place: Place) -> None:
    """As after a loss of power, before the clock is set; the other way round it says what to do."""
    place.now += 300 * 86400
    source = place.own("node.example.org")
    first(source)
    place.now -= 300 * 86400

    async def main() -> None:
        tls = NodeTls(place.own("node.example.org"), place.reports.append, clock=lambda: place.now)
        await tls.start()
        assert tls.context() is not None and "still to come" in tls.problem()
        await tls.close()

    run(main())
    assert "--tls-new-authority" in place.reports[-1]


def test_it_is_renewed_at_a_start_too(place: Place) -> None:
    pair = first(place.own("node.example.org"))
    place.now += 61 * 86400
    assert first(place.own("node.example.org")) != pair


def test_another_address_gets_another_certificate_of_the_same_authority(place: Place) -> None:
    source = place.own("node.example.org", found=("localhost", "10.0.0.1"))
    pair = first(source)
    moved = place.own("node.example.org", found=("localhost", "10.0.0.2"))
    assert certificates.names_of(first(moved).certificate).addresses == ("10.0.0.2",)
    assert moved.authority == source.authority
    assert pair.certificate != first(moved).certificate


def test_a_wanted_name_beyond_the_authority_is_refused_and_a_found_one_left_out(
    place: Place,
) -> None:
    authority = place.own("node.example.org")
    first(authority)
    with pytest.raises(CertificateError, match=r"other\.test") as refused:
        first(place.own("node.example.org", "other.test"))
    assert "--tls-new-authority" in str(refused.value)
    place.reports.clear()
    pair = first(place.own("node.example.org", found=("localhost", "203.0.113.9")))
    assert certificates.names_of(pair.certificate).addresses == ()
    assert any("203.0.113.9" in report for report in place.reports)
    replaced = place.own("node.example.org", "other.test", new=True)
    assert "other.test" in certificates.names_of(first(replaced).certificate).dns
    assert replaced.authority != authority.authority


def test_a_damaged_or_swapped_authority_is_refused_and_not_replaced(place: Place) -> None:
    first(place.own("node.example.org"))
    good = dict(place.store.values)
    other = Place()
    first(other.own("node.example.org"))
    for bad in (b"", b"x", good["tls/authority"][:-1], good["tls/server"],
                other.store.values["tls/authority"]):  # fmt: skip
        place.store.values["tls/authority"] = bad
        with pytest.raises(CasemateError):
            first(place.own("node.example.org"))
        assert place.store.values["tls/authority"] == bad
    place.store.values["tls/authority"] = good["tls/authority"]
    place.store.values["tls/server"] = other.store.values["tls/server"]
    with pytest.raises(CasemateError):
        first(place.own("node.example.org"))


def test_a_vault_that_is_gone_keeps_the_certificate_and_is_reported_once(place: Place) -> None:
    async def main() -> None:
        tls = NodeTls(place.own("node.example.org"), place.reports.append)
        await tls.start()
        before = tls.context()
        place.now += 70 * 86400

        async def gone(context: str, value: bytes) -> bytes:
            raise Refused("the vault is gone")

        wrap, place.vault.wrap = place.vault.wrap, gone  # type: ignore[method-assign]
        await tls.look()
        await tls.look()
        assert tls.context() is before
        assert sum("the vault is gone" in report for report in place.reports) == 1
        place.vault.wrap = wrap  # type: ignore[method-assign]
        # Issued 70 days in the future, so it is not valid yet by the real clock: refused as well.
        await tls.look()
        assert tls.context() is before
        await tls.close()
        await tls.close()

    asyncio.run(main())


# -- given files ---------------------------------------------------------------------------------


class Files:
    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "cert.pem", folder / "key.pem"
        self.authority = certificates.new_authority(NAMES, NOW - timedelta(days=200))

    def issue(self, now: datetime = NOW) -> KeyPair:
        return certificates.issue(self.authority, NAMES, now)

    def write(self, pair: KeyPair) -> None:
        self.certificate.write_bytes(pair.certificate)
        self.key.write_bytes(pair.key)
        self.key.chmod(0o600)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def following(files: Files, change: Callable[[], None]) -> tuple[bool, list[str]]:
    """Start with the files, change them, look twice; tell whether the context is another."""
    reports: list[str] = []
    tls = NodeTls(GivenFiles(files.certificate, files.key), reports.append)
    await tls.start()
    before = tls.context()
    change()
    for _ in range(3):
        await tls.look()
    await tls.close()
    return tls.context() is not before, reports


def test_renewed_files_are_taken(files: Files) -> None:
    files.write(files.issue())
    changed, reports = asyncio.run(following(files, lambda: files.write(files.issue())))
    assert changed and len(reports) == 1


def test_files_that_are_replaced_by_rename_or_link_are_taken(files: Files) -> None:
    """As certbot does it: links into a folder of versions."""
    versions = files.certificate.parent / "versions"
    versions.mkdir()
    paths = files.certificate, files.key

    def renew(number: int) -> None:
        pair = files.issue()
        for path, content in zip(paths, (pair.certificate, pair.key), strict=True):
            target = versions / f"{path.name}{number}"
            target.write_bytes(content)
            target.chmod(0o600)
            draft = path.with_suffix(".new")
            draft.symlink_to(target)
            draft.rename(path)

    renew(1)
    changed, _ = asyncio.run(following(files, lambda: renew(2)))
    assert changed


@pytest.mark.parametrize(
    "how",
    [
        "other key",
        "half key",
        "half certificate",
        "empty",
        "gone",
        "rubbish",
        "expired",
        "readable",
    ],
)
def test_what_cannot_be_used_keeps_the_old_one_and_is_reported_once(files: Files, how: str) -> None:
    files.write(files.issue())
    pair = files.issue()

    def change() -> None:
        if how == "expired":
            files.write(files.issue(NOW - timedelta(days=91)))
            return
        files.write(pair)
        if how == "other key":
            files.key.write_bytes(files.issue().key)
        elif how == "half key":
            files.key.write_bytes(pair.key[: len(pair.key) // 2])
        elif how == "half certificate":
            files.certificate.write_bytes(pair.certificate[: len(pair.certificate) // 2])
        elif how == "empty":
            files.certificate.write_bytes(b"")
        elif how == "gone":
            files.key.unlink()
        elif how == "rubbish":
            files.key.write_bytes(os.urandom(400))
        else:
            files.key.chmod(0o604)

    changed, reports = asyncio.run(following(files, change))
    assert not changed
    assert len(reports) == 1 and "stays as it is" in reports[0]
    assert "PRIVATE" not in reports[0]


def test_a_half_written_pair_is_taken_once_it_is_whole(files: Files) -> None:
    files.write(files.issue())
    reports: list[str] = []

    async def main() -> None:
        tls = NodeTls(GivenFiles(files.certificate, files.key), reports.append)
        await tls.start()
        before = tls.context()
        pair = files.issue()
        files.certificate.write_bytes(pair.certificate)
        await tls.look()  # it has changed just now: left alone
        assert not reports
        await tls.look()
        assert tls.context() is before and len(reports) == 1
        files.key.write_bytes(pair.key)
        await tls.look()
        await tls.look()
        assert tls.context() is not before
        await tls.close()

    asyncio.run(main())


def test_the_end_of_a_certificate_is_told_before_and_after_and_is_no_good_health(
    files: Files,
) -> None:
    files.write(files.issue())
    reports: list[str] = []
    moment = [time.time()]

    async def main() -> None:
        tls = NodeTls(
            GivenFiles(files.certificate, files.key), reports.append, clock=lambda: moment[0]
        )
        await tls.start()
        ends = tls.ends_at
        assert ends is not None
        for days, told, well in ((10, 0, True), (8, 1, True), (7, 1, True), (0, 2, False)):
            moment[0] = ends - days * 86400
            await tls.look()
            await tls.look()
            assert len(reports) == told, days
            assert (tls.problem() == "") is well, days
        assert "ends at" in reports[0] and "ended at" in reports[1]
        assert "--tls-cert" in reports[0] and "clients refuse" in tls.problem()
        moment[0] = time.time() - 86400  # a clock that is behind: it is not valid yet by that
        assert "still to come" in tls.problem() and "Set the clock" in tls.problem()
        moment[0] = time.time()
        files.write(files.issue())
        for _ in range(3):
            await tls.look()
        assert tls.problem() == ""
        await tls.close()

    asyncio.run(main())


def test_a_renewed_pair_that_cannot_be_used_is_no_good_health(files: Files) -> None:
    """A renewal whose files the gateway may not read is seen before the old one ends."""
    files.write(files.issue())

    async def main() -> None:
        tls = NodeTls(GivenFiles(files.certificate, files.key), lambda _message: None)
        await tls.start()
        files.write(files.issue())
        files.key.chmod(0o604)
        for _ in range(3):
            await tls.look()
        assert "stays as it is" in tls.problem() and str(files.key) in tls.problem()
        files.key.chmod(0o600)
        for _ in range(3):  # files are taken once they were the same twice
            await tls.look()
        assert tls.problem() == ""
        await tls.close()

    asyncio.run(main())


def test_a_signal_reads_them_even_if_they_seem_the_same(files: Files) -> None:
    files.write(files.issue())

    async def main() -> None:
        tls = NodeTls(GivenFiles(files.certificate, files.key), lambda _message: None)
        await tls.start()
        await tls.look()
        before = tls.context()
        tls.reload()
        for _ in range(100):
            if tls.context() is not before:
                break
            await asyncio.sleep(0.01)
        assert tls.context() is not before
        await tls.close()

    asyncio.run(main())


def test_a_key_with_a_passphrase_asks_nobody(files: Files, tmp_path: Path) -> None:
    pair = files.issue()
    files.write(pair)
    encrypted = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-in", str(files.key), "-passout", "pass:zebra7"],
        capture_output=True,
        check=True,
    ).stdout
    with pytest.raises(CertificateError, match="passphrase"):
        server_context(KeyPair(certificate=pair.certificate, key=encrypted))


def test_a_start_with_unusable_files_is_refused(files: Files) -> None:
    async def start() -> None:
        await NodeTls(GivenFiles(files.certificate, files.key), lambda _m: None).start()

    with pytest.raises(CertificateError, match="cannot be read") as refused:
        asyncio.run(start())
    assert "setfacl" in str(refused.value)
    files.certificate.mkdir()
    files.key.write_bytes(b"")
    files.key.chmod(0o600)
    with pytest.raises(CertificateError):
        asyncio.run(start())


# -- the context ---------------------------------------------------------------------------------


def test_the_context_is_strict(files: Files) -> None:
    context = server_context(files.issue())
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.options & ssl.OP_NO_RENEGOTIATION
    weak = [c["name"] for c in context.get_ciphers() if not c["aead"] or c["strength_bits"] < 128]
    assert not weak
    assert all(c["kea"] in ("kx-ecdhe", "kx-any") for c in context.get_ciphers())


CONFINED = """
import os, sys
sys.path.insert(0, "src")
from casemate.certificates import issuing as certificates
from casemate.certificates import server_context
from casemate.kernel import linux, seccomp
names = certificates.Names.of(["localhost"])
now = certificates.now_utc(__import__("time").time())
pair = certificates.issue(certificates.new_authority(names, now), names, now)
if os.geteuid() == 0:
    os.setgroups([]); os.setresgid(64800, 64800, 64800); os.setresuid(64800, 64800, 64800)
linux.set_no_new_privileges(); linux.drop_capabilities(bounding=False); linux.set_not_dumpable()
linux.install_filter(seccomp.gateway_program())
before = len(os.listdir("/proc/self/fd")) if os.access("/proc/self/fd", os.R_OK) else 0
server_context.server_context(pair)
print("loaded")
"""


def test_the_gateway_can_load_a_key_after_it_gave_up_its_rights() -> None:
    """By a file that is in memory only: nothing is written where a thief of the disk finds it."""
    done = subprocess.run(
        [sys.executable, "-c", CONFINED],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert done.stdout.strip() == "loaded", done.stderr


def test_the_authority_that_is_shown_is_the_one_that_is_used(place: Place) -> None:
    async def main() -> None:
        tls = NodeTls(place.own("node.example.org"), place.reports.append)
        await tls.start()
        assert tls.authority is not None and b"PRIVATE" not in tls.authority
        assert tls.authority_fingerprint == certificates.fingerprint(tls.authority)
        await tls.close()

    asyncio.run(main())


def test_without_an_authority_of_its_own_the_node_has_none(files: Files) -> None:
    files.write(files.issue())
    tls = NodeTls(GivenFiles(files.certificate, files.key), lambda _message: None)
    assert tls.authority is None
    assert tls.authority_fingerprint is None
    assert shutil.which("openssl")
    with pytest.raises(CasemateError):
        tls.context()
