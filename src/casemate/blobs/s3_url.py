"""Where an S3-compatible store is: `s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION`."""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlsplit

from casemate.model.errors import InvalidInputError
from casemate.model.loopback import is_loopback

PLAINTEXT = "plaintext"
"""The exception by which a store elsewhere is spoken to without TLS."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,62}/){0,8}\Z")
_REGION = re.compile(r"[a-z0-9-]{1,64}\Z")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\Z")
_MAX_URL = 1024
_FORM = "expected s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION"


class S3Url(NamedTuple):
    """One bucket, or the part of it below a prefix."""

    bucket: str
    prefix: str
    """Empty, or it ends with `/`."""
    region: str
    secure: bool
    host: str
    port: int
    path: str
    """What stands before a key in the path of a request: `/` or `/BUCKET/`."""

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        """Return it for people."""
        return f"s3://{self.bucket}/{self.prefix} at {self.authority}"


def parse_s3_url(url: str, accepted: frozenset[str] = frozenset()) -> S3Url:
    """Return what a URL says. Raises InvalidInputError, which shows no password.

    A store that is not on loopback has to be spoken to by TLS, unless `accepted` has `plaintext`.
    """
    split = _split(url)
    bucket, prefix = split.netloc, split.path.lstrip("/")
    if "@" in bucket:
        raise _invalid("holds keys; they come from the environment or the vault")
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    if _BUCKET.match(bucket) is None or ".." in bucket:
        raise _invalid(
            "names a bucket with another name than S3 allows (3 to 63 lower-case letters, digits, "
            "dots and hyphens)"
            if bucket
            else "names no bucket"
        )
    if _PREFIX.match(prefix) is None:
        raise _invalid("has a prefix that is not letters, digits and `._-` between slashes")
    options = _options(split.query)
    region = options.get("region", "us-east-1")
    if _REGION.match(region) is None:
        raise _invalid("has a region that cannot be one")
    if "endpoint" not in options:
        host = f"s3.{region}.amazonaws.com"
        # A certificate of `*.s3...` is not one for names with more dots.
        if "." in bucket:
            return S3Url(bucket, prefix, region, True, host, 443, f"/{bucket}/")
        return S3Url(bucket, prefix, region, True, f"{bucket}.{host}", 443, "/")
    secure, host, port = _endpoint(options["endpoint"])
    if not secure and PLAINTEXT not in accepted and not _is_loopback(host):
        raise InvalidInputError(
            f"The object store at {host} would be spoken to without TLS: whoever is between reads "
            "the names of projects, and can take away and play again.",
            next_step="Give an endpoint that starts with https://.",
        )
    return S3Url(bucket, prefix, region, secure, host, port, f"/{bucket}/")


def _split(url: str) -> SplitResult:
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise _invalid(f"is not printable ASCII of at most {_MAX_URL} characters")
    try:
        split = urlsplit(url)
    except ValueError:
        raise _invalid("cannot be read") from None
    if split.scheme != "s3" or split.fragment:
        raise _invalid("does not start with s3://, or has a fragment")
    return split


def _options(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, True, True, max_num_fields=2) if query else []
    except ValueError:
        raise _invalid("has options that cannot be read") from None
    options = dict(pairs)
    if len(options) != len(pairs) or not options.keys() <= {"endpoint", "region"}:
        raise _invalid("has options other than one endpoint and one region")
    return options


def _endpoint(text: str) -> tuple[bool, str, int]:
    try:
        split = urlsplit(text)
        port = split.port
    except ValueError:
        raise _invalid("has an endpoint that cannot be read") from None
    host = split.hostname or ""
    if (
        split.scheme not in ("http", "https")
        or split.path not in ("", "/")
        or split.query
        or split.fragment
        or "@" in split.netloc
        or not (_HOST.match(host) or _address(host))
        or port == 0
    ):
        raise _invalid("has an endpoint that is not https://HOST or https://HOST:PORT")
    secure = split.scheme == "https"
    return secure, host, port or (443 if secure else 80)


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    # A name can be made to lead anywhere, `localhost` too.
    return _address(host) is not None and is_loopback(host)


def _invalid(why: str) -> InvalidInputError:
    return InvalidInputError(
        f"The URL of the object store {why}.", next_step=f"Correct it: {_FORM}."
    )
