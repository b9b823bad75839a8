"""AWS's Signature Version 4 of one request to one of its services, in the headers."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping


def signed_headers(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    digest: str,
    *,
    access_key: str,
    secret: str,
    region: str,
    at: float,
    service: str = "s3",
) -> dict[str, str]:
    """Return the headers with which a request is signed, those given among them.

    `headers` has `host`, all names in lower case; `path` and `query` are as they are sent, the
    query in the order of its names. `digest` is SHA-256 of the body, in hexadecimal digits.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    date = stamp[:8]
    made = dict(headers) | {"x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(sorted(made))
    fields = [f"{name}:{made[name]}" for name in sorted(made)]
    canonical = "\n".join((method, path, query, *fields, "", names, digest))
    scope = f"{date}/{region}/{service}/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed}"
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    made["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}"
    )
    return made
