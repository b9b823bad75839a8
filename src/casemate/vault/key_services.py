"""Key services that wrap a vault's master key: Vault's transit engine, and AWS KMS.

| source | the service |
|---|---|
| `transit:PATH` | `transit/encrypt` and `transit/decrypt` of HashiCorp Vault and OpenBao |
| `kms:PATH` | `Encrypt` and `Decrypt` of AWS KMS |

PATH is a file in TOML that nobody else can read, such as a credential of systemd: where the service
is, the name of its key, and what this node shows it. Each node has its own. Nothing of it, and no
body of an answer, is in an error or a log.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ssl
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from casemate.blobs.errors import BlobsUnreachableError
from casemate.blobs.http_exchange import Connection
from casemate.blobs.signature import signed_headers
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.loopback import is_loopback
from casemate.vault.envelope import context
from casemate.vault.errors import MasterKeySourceError
from casemate.vault.key_material import read_private

SECONDS: Final = 10.0
"""How long a service may take, all of it."""
_CONNECT_SECONDS: Final = 5.0
_MAX_FILE: Final = 16 * 1024
_MAX_ANSWER: Final = 64 * 1024
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048, pattern=r"^[!-~]+\Z")]


class _Transit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: _Text
    key: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")]
    token: _Text
    mount: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}\Z")] = "transit"
    namespace: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{0,256}\Z")] = ""
    ca: str = ""
    """A file with the authorities that prove the service; without it those of the system."""


class _Kms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    region: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]
    key: Annotated[str, msgspec.Meta(pattern=r"^arn:[!-~]{8,2000}\Z")]
    """The key's ARN: an alias could lead elsewhere tomorrow."""
    access_key: _Text
    secret_key: _Text
    session_token: Annotated[str, msgspec.Meta(pattern=r"^[!-~]{0,8192}\Z")] = ""
    url: str = ""
    """Of an endpoint of your own; without it that of the region."""
    ca: str = ""


class Answer(NamedTuple):
    """What a service has answered."""

    status: int
    content: dict[str, Any]


def transit(path: str, verb: str, data: bytes) -> bytes:
    """Wrap or unwrap a key by a transit engine. Raises MasterKeySourceError."""
    settings = _read(path, _Transit)
    target = f"/v1/{quote(settings.mount.strip('/'))}/{'encrypt' if verb == 'wrap' else 'decrypt'}/"
    headers = {"x-vault-token": settings.token, "content-type": "application/json"}
    if settings.namespace:
        headers["x-vault-namespace"] = settings.namespace
    if verb == "wrap":
        asked = {"plaintext": base64.b64encode(_framed(data)).decode()}
    else:
        asked = {"ciphertext": _text(data, path)}
    answer = _asked(settings.url, target + quote(settings.key), headers, asked, settings.ca)
    if answer.status != 200:
        raise _refused(settings.key, verb, answer.status, _errors_of_vault(answer))
    found = answer.content.get("data")
    name = "ciphertext" if verb == "wrap" else "plaintext"
    field = found.get(name) if isinstance(found, dict) else None
    if not isinstance(field, str):
        raise _no_answer(settings.url)
    return field.encode() if verb == "wrap" else _unframed(_decoded(field, settings.url), path)


def kms(path: str, verb: str, data: bytes) -> bytes:
    """Wrap or unwrap a key by AWS KMS. Raises MasterKeySourceError."""
    settings = _read(path, _Kms)
    url = settings.url or f"https://kms.{settings.region}.amazonaws.com"
    asked: dict[str, Any] = {"KeyId": settings.key, "EncryptionContext": {"for": "casemate"}}
    if verb == "wrap":
        asked["Plaintext"] = base64.b64encode(_framed(data)).decode()
    else:
        asked["CiphertextBlob"] = base64.b64encode(data).decode()
    body = msgspec.json.encode(asked)
    headers = {
        "host": _host_of(url),
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": f"TrentService.{'Encrypt' if verb == 'wrap' else 'Decrypt'}",
    }
    if settings.session_token:
        headers["x-amz-security-token"] = settings.session_token
    signed = signed_headers(
        *("POST", "/", "", headers, hashlib.sha256(body).hexdigest()),
        access_key=settings.access_key,
        secret=settings.secret_key,
        region=settings.region,
        at=time.time(),
        service="kms",
    )
    answer = _exchanged(url, "/", signed, body, settings.ca)
    if answer.status != 200:
        kind = str(answer.content.get("__type", "")).rpartition("#")[2]
        raise _refused(settings.key, verb, answer.status, kind)
    if answer.content.get("KeyId") != settings.key:
        raise MasterKeySourceError(
            f"The key service has used another key than {settings.key}.",
            next_step=f"See what answers at {url}, and name the ARN of the key in {path}.",
        )
    field = answer.content.get("CiphertextBlob" if verb == "wrap" else "Plaintext")
    if not isinstance(field, str):
        raise _no_answer(url)
    found = _decoded(field, url)
    return found if verb == "wrap" else _unframed(found, path)


_FRAME: Final = context("wrapped master key")


def _framed(key: bytes) -> bytes:
    """Return what is wrapped of a key: with what tells it from whatever else the service has."""
    return _FRAME + key


def _unframed(found: bytes, path: str) -> bytes:
    if not found.startswith(_FRAME):
        raise MasterKeySourceError(
            "The key service has unwrapped something that is not a master key of a vault.",
            next_step=f"Name in {path} the key that the vault was made with.",
        )
    return found.removeprefix(_FRAME)


def _read(path: str, kind: type[Any]) -> Any:
    text = read_private(Path(path), _MAX_FILE)
    try:
        return msgspec.convert(tomllib.loads(text.decode()), decodable(kind))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        # Not `from`: what stands in the file may be in the error.
        raise MasterKeySourceError(
            f"{path} is no TOML.", next_step="See docs/howto/keep-secrets.md"
        ) from None
    except msgspec.ValidationError as error:
        place = str(error).rpartition(" - at ")[2].strip("`$.")
        raise MasterKeySourceError(
            f"{path} does not say what it must about {place[:80]!r}; expected "
            f"{', '.join(kind.__struct_fields__)}.",
            next_step="See docs/howto/keep-secrets.md",
        ) from None


def _asked(
    url: str, target: str, headers: Mapping[str, str], asked: dict[str, Any], ca: str
) -> Answer:
    named = {"host": _host_of(url), **headers}
    return _exchanged(url, target, named, msgspec.json.encode(asked), ca)


def _exchanged(url: str, target: str, headers: Mapping[str, str], body: bytes, ca: str) -> Answer:
    """Ask once, over TLS that proves the service, or on this host."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host or parts.path.strip("/") or parts.query:
        raise MasterKeySourceError(
            "The URL of the key service is not valid.", next_step="Write it as https://HOST:PORT."
        )
    tls = _tls(ca) if parts.scheme == "https" else None
    if tls is None and not is_loopback(host):
        raise MasterKeySourceError(
            f"The key service {host} would be spoken to without TLS.",
            next_step="Write its URL as https://.",
        )
    try:
        port = parts.port or (80 if tls is None else 443)
        deadline = time.monotonic() + SECONDS
        connection = Connection(host, port, tls, deadline, _CONNECT_SECONDS, SECONDS)
        try:
            answer = connection.exchange("POST", target, headers, body, _MAX_ANSWER)
        finally:
            connection.close()
    except (OSError, ValueError, BlobsUnreachableError) as error:
        why = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or ""
        raise MasterKeySourceError(
            f"The key service {host} does not answer: {why or type(error).__name__}.",
            next_step="See that it runs, is unsealed, and can be reached from this host.",
        ) from None
    if len(answer.body) > _MAX_ANSWER:
        raise _no_answer(url)
    try:
        content = msgspec.json.decode(answer.body, type=dict[str, Any])
    except DECODING_ERRORS:
        content = {}
    return Answer(answer.status, content)


def _tls(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise MasterKeySourceError(
            f"The authorities in {ca} cannot be read: {error.strerror or 'no certificate'}.",
            next_step="Name a file of certificates in PEM.",
        ) from None


def _host_of(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _text(data: bytes, path: str) -> str:
    if not data.startswith(b"vault:v") or not data.isascii():
        raise MasterKeySourceError(
            "The vault's master key was not wrapped by a transit engine.",
            next_step=f"Give the source that the vault was made with, not transit:{path}.",
        )
    return data.decode()


def _decoded(text: str, url: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _no_answer(url) from None


def _errors_of_vault(answer: Answer) -> str:
    # Of fixed words alone: the rest of a message may quote what was sent.
    errors = str(answer.content.get("errors", ""))
    known = ("permission denied", "encryption key not found", "cipher: message authentication")
    return next((word for word in known if word in errors), "")


def _refused(key: str, verb: str, status: int, why: str) -> MasterKeySourceError:
    shown = "".join(c for c in why if c.isalnum() or c in " :")[:80]
    return MasterKeySourceError(
        f"The key service does not {verb} with the key {key}: {status} {shown or 'no reason'}.",
        next_step="See whether the key is the one that the vault was made with, and whether what "
        "this node shows may use it.",
    )


def _no_answer(url: str) -> MasterKeySourceError:
    return MasterKeySourceError(
        f"What {_host_of(url)} answers is not what a key service answers.",
        next_step="See what runs there.",
    )
