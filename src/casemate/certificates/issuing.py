"""The node's own certificate authority and the certificates it issues (RFC 5280). No I/O.

The authority can only vouch for the names it was made for, their subdomains, this host, and
addresses of private networks: who steals its key cannot use it for other places, even with
clients that trust it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from casemate.certificates.key_pair import CertificateError, KeyPair

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=90)
_BACKDATED = timedelta(minutes=10)
"""A client's clock may be behind the node's."""
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)*{_LABEL}\Z")
PRIVATE_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        (
            *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
            *("100.64.0.0/10", "::1/128", "fc00::/7", "fe80::/10"),
        ),
    )
)
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate is for: DNS names in lower case and IP addresses, both sorted."""

    dns: tuple[str, ...]
    addresses: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Names:
        """Sort names and addresses apart. Raises CertificateError for what is neither."""
        dns, addresses = set(), set()
        for text in texts:
            try:
                addresses.add(str(ipaddress.ip_address(text)))
            except ValueError:
                name = text.lower().removesuffix(".")
                if len(name) > 253 or _NAME.match(name) is None:
                    raise CertificateError(
                        f"{text!r} is not a name for a certificate; expected a host name in ASCII "
                        "or an IP address.",
                        next_step="Give the name as clients write it, such as "
                        "--tls-name node.example.org",
                    ) from None
                dns.add(name)
        return cls(dns=tuple(sorted(dns)), addresses=tuple(sorted(addresses)))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.dns) + len(self.addresses)


def load_certificate(pem: bytes) -> x509.Certificate:
    """Return the first certificate of a PEM text. Raises CertificateError."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateError(
            "That is not a certificate in PEM.",
            next_step="Give a file that begins with -----BEGIN CERTIFICATE-----",
        ) from error


def is_for_servers(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate may be a server's: it names that purpose, or none at all."""
    try:
        named = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return True
    allowed = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    return any(each in named for each in allowed)


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError) as error:
        raise CertificateError("The authority's key is not a private key in PEM.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("The authority's key is not one on an elliptic curve.")
    return key


def fingerprint(pem: bytes) -> str:
    """Return the SHA-256 of a certificate (of its DER form), 64 hexadecimal digits."""
    return load_certificate(pem).fingerprint(hashes.SHA256()).hex()


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _constraints(names: Names) -> x509.NameConstraints:
    """Allow the names and what is below them, private networks, and the addresses given."""
    dns = sorted({"localhost", *(name.removeprefix("*.") for name in names.dns)})
    public = [a for a in map(ipaddress.ip_address, names.addresses) if not _is_private(a)]
    networks: list[Network] = [*PRIVATE_NETWORKS, *map(ipaddress.ip_network, public)]
    permitted: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
    permitted += [x509.IPAddress(network) for network in networks]
    return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)


def _is_private(address: Address) -> bool:
    return any(address in network for network in PRIVATE_NETWORKS)


def new_authority(names: Names, now: datetime) -> KeyPair:
    """Make an authority for `names`: ECDSA P-256, ten years, no authorities below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    label = f"Casemate node authority {identifier.digest[:4].hex()}"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(_constraints(names), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def covered(authority: bytes, names: Names) -> Names:
    """Return those of `names` that the authority may vouch for."""
    certificate = load_certificate(authority)
    try:
        extension = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return names
    dns: list[str] = []
    networks: list[Network] = []
    for permitted in extension.value.permitted_subtrees or ():
        if isinstance(permitted, x509.DNSName):
            dns.append(permitted.value)
        elif isinstance(permitted, x509.IPAddress):
            networks.append(ipaddress.ip_network(str(permitted.value)))
    return Names(
        dns=tuple(
            n for n in names.dns if any(f".{n.removeprefix('*.')}".endswith(f".{p}") for p in dns)
        ),
        addresses=tuple(
            a for a in names.addresses if any(ipaddress.ip_address(a) in n for n in networks)
        ),
    )


def issue(authority: KeyPair, names: Names, now: datetime) -> KeyPair:
    """Issue a server's certificate: ECDSA P-256, 90 days or what is left of the authority's life.

    Raises CertificateError if there is no name for it or the authority has ended.
    """
    issuer, issuer_key = load_certificate(authority.certificate), _load_key(authority.key)
    if not len(names):
        raise CertificateError("A certificate for no name at all would be of no use.")
    if now >= issuer.not_valid_after_utc:
        raise CertificateError(
            "The node's certificate authority has ended.",
            next_step="Make a new one with `casemate serve --tls-new-authority`; clients log in "
            "again with its fingerprint.",
        )
    # Before the authority is valid nothing of it is: the clock was set back since it was made.
    begins = max(now - _BACKDATED, issuer.not_valid_before_utc)
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
    alternatives += [x509.IPAddress(ipaddress.ip_address(a)) for a in names.addresses]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Casemate node")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(min(max(now, begins) + SERVER_LIFE, issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    )
    return _pair(builder.sign(issuer_key, hashes.SHA256()), key)


def is_by(certificate: bytes, authority: bytes) -> bool:
    """Tell whether a certificate was signed by the authority."""
    try:
        load_certificate(certificate).verify_directly_issued_by(load_certificate(authority))
    except (ValueError, TypeError, InvalidSignature, CertificateError):
        return False
    return True


def names_of(certificate: bytes) -> Names:
    """Return what a certificate is for."""
    try:
        value = (
            load_certificate(certificate)
            .extensions.get_extension_for_class(x509.SubjectAlternativeName)
            .value
        )
    except x509.ExtensionNotFound:
        return Names(dns=(), addresses=())
    return Names(
        dns=tuple(sorted(name.lower() for name in value.get_values_for_type(x509.DNSName))),
        addresses=tuple(sorted(map(str, value.get_values_for_type(x509.IPAddress)))),
    )


def ends_at(certificate: bytes) -> datetime:
    """Return when a certificate ends."""
    return load_certificate(certificate).not_valid_after_utc


def begins_at(certificate: bytes) -> datetime:
    """Return when a certificate begins to be valid."""
    return load_certificate(certificate).not_valid_before_utc


def renew_at(certificate: bytes) -> datetime:
    """Return when two thirds of a certificate's life are over."""
    loaded = load_certificate(certificate)
    life = loaded.not_valid_after_utc - loaded.not_valid_before_utc
    return loaded.not_valid_before_utc + life * 2 / 3


def now_utc(seconds: float) -> datetime:
    """Return a Unix time as certificates have it, in whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)
