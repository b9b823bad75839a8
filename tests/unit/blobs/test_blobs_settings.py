"""Addresses and keys of object stores: what is refused, and that no key is shown."""

from __future__ import annotations

import hashlib
import time
import traceback
from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.blobs import Credentials, credentials_of, parse_s3_url
from casemate.blobs.signature import signed_headers
from casemate.model.errors import InvalidInputError


@pytest.mark.parametrize(
    ("url", "authority", "path", "prefix"),
    [
        ("s3://bucket", "bucket.s3.us-east-1.amazonaws.com", "/", ""),
        ("s3://a.b?region=eu-west-1", "s3.eu-west-1.amazonaws.com", "/a.b/", ""),
        ("s3://bucket/x/y/", "bucket.s3.us-east-1.amazonaws.com", "/", "x/y/"),
        ("s3://bucket/x?endpoint=https://h.test", "h.test", "/bucket/", "x/"),
        ("s3://bucket?endpoint=https://h.test:9000/", "h.test:9000", "/bucket/", ""),
        ("s3://bucket?endpoint=http://127.0.0.1:9000", "127.0.0.1:9000", "/bucket/", ""),
        ("s3://bucket?endpoint=http://[::1]", "[::1]", "/bucket/", ""),
    ],
)
def test_addresses(url: str, authority: str, path: str, prefix: str) -> None:
    found = parse_s3_url(url)
    assert (found.authority, found.path, found.prefix) == (authority, path, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "bucket",
        "http://bucket",
        "s3://",
        "s3:///prefix",
        "s3://UPPER",
        "s3://a..b",
        "s3://key:secret@bucket",
        "s3://bucket/../x",
        "s3://bucket/./x",
        "s3://bucket/a//b",
        "s3://bucket/%2e%2e/x",
        "s3://bucket/a b",
        "s3://bucket/a\n",
        "s3://bucket/" + "a/" * 9,
        "s3://bucket#x",
        "s3://bucket?endpoint=ftp://h",
        "s3://bucket?endpoint=https://h/path",
        "s3://bucket?endpoint=https://user:secret@h",
        "s3://bucket?endpoint=https://h:0",
        "s3://bucket?endpoint=https://h:99999",
        "s3://bucket?endpoint=https://",
        "s3://bucket?endpoint=https://h\r\nx",
        "s3://bucket?endpoint=https://h&endpoint=https://i",
        "s3://bucket?region=",
        "s3://bucket?region=../x",
        "s3://bucket?secret=x",
        "s3://bucket?x",
        "s3://" + "b" * 2000,
        "s3://[bucket",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_s3_url(url)
    assert "secret" not in str(caught.value)
    assert "s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION" in str(caught.value)


@pytest.mark.parametrize(
    ("bucket", "told"), [("", "names no bucket"), ("b", "3 to 63 lower-case letters")]
)
def test_what_is_wrong_with_the_name_of_a_bucket_is_told(bucket: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        parse_s3_url(f"s3://{bucket}?endpoint=https://h.test")


@pytest.mark.parametrize(
    "host", ["localhost", "10.0.0.1", "h.test", "127.0.0.1.h.test", "[::ffff:10.0.0.1]", "0.0.0.0"]
)
def test_no_store_is_spoken_to_in_clear(host: str) -> None:
    url = f"s3://bucket?endpoint=http://{host}:9000"
    with pytest.raises(InvalidInputError, match="without TLS"):
        parse_s3_url(url)
    assert not parse_s3_url(url, frozenset({"plaintext"})).secure


def test_keys_are_not_shown() -> None:
    keys = credentials_of(
        {
            "AWS_ACCESS_KEY_ID": "AKIA1",
            "AWS_SECRET_ACCESS_KEY": "hidden",
            "AWS_SESSION_TOKEN": "also",
        }
    )
    assert (keys.secret, keys.session) == ("hidden", "also")
    assert "hidden" not in repr(keys) and "also" not in repr(keys)


@pytest.mark.parametrize("secret", ["", "a b c", "abc\n", "abc\r\nx: y", "ä" * 9, "x" * 600])
def test_keys_that_are_none_are_not_shown(secret: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Credentials("AKIA1", secret)
    assert not secret or secret not in "".join(traceback.format_exception(caught.value))


def test_missing_keys_are_named() -> None:
    with pytest.raises(InvalidInputError, match="AWS_SECRET_ACCESS_KEY"):
        credentials_of({"AWS_ACCESS_KEY_ID": "AKIA1"})


@given(
    st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
    st.text(alphabet="abcXYZ019-_.~/ é%+&=", min_size=1, max_size=30),
    st.dictionaries(
        st.sampled_from(["prefix", "list-type", "continuation-token", "max-keys"]),
        st.text(alphabet="abcXYZ019-_.~/ é%+&=", min_size=1, max_size=12),
    ),
    st.sampled_from(["", "session/token+=="]),
)
@settings(max_examples=40, deadline=None)
def test_signatures_are_those_of_botocore(
    method: str, key: str, fields: dict[str, str], token: str
) -> None:
    path = quote(f"/bucket/{key}", safe="/-_.~")
    query = "&".join(f"{name}={quote(fields[name], safe='')}" for name in sorted(fields))
    given_headers = {"host": "h.test:9000", "range": "bytes=0-9"}
    if token:
        given_headers["x-amz-security-token"] = token
    at, digest = 1_700_000_000.0, hashlib.sha256(b"body").hexdigest()
    request = AWSRequest(
        method,
        f"https://h.test:9000{path}" + (f"?{query}" if query else ""),
        headers={"range": "bytes=0-9", "X-Amz-Content-SHA256": digest},
        data=b"body",
    )
    signer = S3SigV4Auth(BotoCredentials("AKIA1", "secret", token or None), "s3", "eu-west-1")
    request.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    if token:
        request.headers["X-Amz-Security-Token"] = token
    text = signer.string_to_sign(request, signer.canonical_request(request))
    made = signed_headers(
        method,
        path,
        query,
        given_headers,
        digest,
        access_key="AKIA1",
        secret="secret",
        region="eu-west-1",
        at=at,
    )
    assert made["authorization"].endswith(f"Signature={signer.signature(text, request)}")


def test_the_signature_that_amazon_publishes() -> None:
    """GET of a list with parameters, from "Signature Calculations for the Authorization Header"."""
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    made = signed_headers(
        "GET",
        "/",
        "max-keys=2&prefix=J",
        {"host": "examplebucket.s3.amazonaws.com"},
        empty,
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        at=1369353600.0,
    )
    assert made["authorization"].endswith(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )
