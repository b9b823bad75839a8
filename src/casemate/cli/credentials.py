"""Which node to speak to, with which token, and which certificate authority it is trusted by.

`CASEMATE_URL`, `CASEMATE_KEY` and `CASEMATE_CA` come first, then what `casemate login` stored
below `$XDG_CONFIG_HOME` (XDG Base Directory Specification), in a file only its owner can read. A
stored token is only ever sent to the address it was stored for.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from casemate.cli.errors import (
    CredentialsError,
    DamagedCredentialsError,
    DeniedError,
    UsageError,
)
from casemate.kernel.drafts import draft_file
from casemate.model.loopback import is_loopback

DEFAULT_URL = "http://127.0.0.1:8787"
KEY_PATTERN = re.compile(r"cm_[A-Za-z0-9_-]{20,256}")
MAX_CA_BYTES = 32 * 1024
_MAX_BYTES = 64 * 1024
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_HOST = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)*{_LABEL}\.?")


@dataclass(frozen=True)
class Credentials:
    """A node's address and a token for it. The token is not part of the representation."""

    url: str
    """Scheme, host and port, without a slash at the end."""
    key: str | None = field(default=None, repr=False)
    allow_http: bool = False
    """True if the token may be sent to another machine without encryption."""
    ca: str | None = field(default=None, repr=False)
    """Certificates in PEM that alone vouch for the node; None takes those of the system."""


def parse_url(text: str) -> str:
    """Return a node's address in its one spelling; UsageError if it is none."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError as error:
        raise _bad_url(text, str(error)) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _bad_url(text, "expected http or https and a host")
    if parts.username is not None or parts.password is not None:
        raise _bad_url("...", "expected no user name or password in it")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _bad_url(text, "expected nothing after the host and port")
    host = f"[{parts.hostname}]" if _is_ipv6(parts.hostname) else parts.hostname
    if not host.startswith("[") and _HOST.fullmatch(host) is None:
        raise _bad_url(text, "expected a host name in ASCII, or an IP address")
    return f"{parts.scheme}://{host}{f':{port}' if port is not None else ''}"


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6 and "%" not in host
    except ValueError:
        return False


def _bad_url(text: str, reason: str) -> UsageError:
    return UsageError(
        f"{text!r} is not the address of a node: {reason}.",
        next_step=f"Give an address such as {DEFAULT_URL}.",
    )


def parse_key(text: str) -> str:
    """Return a token without the white space around it. An error never repeats the token."""
    key = text.strip()
    if KEY_PATTERN.fullmatch(key) is None:
        raise UsageError(
            "That is not a token: expected `cm_`, an id, `_` and a secret.",
            next_step="Copy it completely, as `casemate serve` or `casemate tokens add` showed it.",
        )
    return key


def parse_ca(text: str) -> str:
    """Return certificates in PEM; UsageError if they cannot be read as such."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        raise UsageError(
            "The certificate authority is not a certificate in PEM.",
            next_step="Give a file that starts with `-----BEGIN CERTIFICATE-----`.",
        ) from error
    return text


def read_ca(path: Path) -> str:
    """Return the certificates in a PEM file."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CA_BYTES + 1)
        text = content.decode("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read as a certificate in PEM.",
            next_step="Set CASEMATE_CA to a file that holds one.",
        ) from error
    if len(content) > MAX_CA_BYTES:
        raise UsageError(
            f"{path} has more than {MAX_CA_BYTES} bytes.",
            next_step="Give only the node's certificate authority.",
        )
    return parse_ca(text)


def is_loopback_url(url: str) -> bool:
    """Tell whether an address is on this machine, so that nothing crosses a network."""
    return is_loopback(urlsplit(url).hostname or "")


def is_safe_url(url: str) -> bool:
    """Tell whether nobody in between can read what is sent there: https, or this machine."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        return False
    return scheme == "https" or (scheme == "http" and is_loopback_url(url))


def require_safe_transport(credentials: Credentials) -> None:
    """Refuse to send a token over a network that can read it (DeniedError)."""
    if credentials.key is not None:
        require_safe_address(credentials.url, allow_http=credentials.allow_http)


def require_safe_address(url: str, *, allow_http: bool) -> None:
    """Refuse to send a secret to where others could read it on the way (DeniedError)."""
    if url.startswith("https://") or is_loopback_url(url) or allow_http:
        return
    raise DeniedError(
        f"{url} is another machine and not encrypted: whoever is in between could read your "
        "credentials.",
        next_step="Use https, or forward the port with ssh. If the network is yours alone: "
        "`casemate login --allow-http`, or CASEMATE_ALLOW_HTTP=1.",
    )


def file_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where credentials are stored. A relative XDG_CONFIG_HOME is ignored, as specified."""
    configured = Path(environ.get("XDG_CONFIG_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".config"
    return base / "casemate" / "credentials.json"


def choose(environ: Mapping[str, str] = os.environ) -> Credentials:
    """Return the node that the environment or the stored credentials name."""
    url = environ.get("CASEMATE_URL")
    key = environ.get("CASEMATE_KEY")
    allow_http = environ.get("CASEMATE_ALLOW_HTTP") == "1"
    ca_path = environ.get("CASEMATE_CA")
    ca = read_ca(Path(ca_path)) if ca_path else None
    stored = None if url and key else load(environ)
    if url:
        url = parse_url(url)
    elif stored is not None:
        url = stored.url
    else:
        url = DEFAULT_URL
    if stored is not None and stored.url == url:
        key = key or stored.key
        allow_http = allow_http or stored.allow_http
        ca = ca or stored.ca
    return Credentials(url, parse_key(key) if key else None, allow_http, ca)


def load(environ: Mapping[str, str] = os.environ) -> Credentials | None:
    """Return the stored credentials, or None. CredentialsError if others can read the file."""
    path = file_path(environ)
    try:
        content = _content(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedCredentialsError(
            f"{path} cannot be read: {error.strerror}.", next_step="Run `casemate login` again."
        ) from error
    try:
        data = json.loads(content)
        url, key = data["url"], data["key"]
        if not isinstance(url, str) or not isinstance(key, str):
            raise TypeError("an address and a token are texts")
        return Credentials(
            parse_url(url),
            parse_key(key),
            data.get("allow_http") is True,
            parse_ca(str(data["ca"])) if data.get("ca") else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
        raise DamagedCredentialsError(
            f"{path} does not hold credentials.", next_step="Run `casemate login` again."
        ) from error


def _content(path: Path) -> bytes:
    """Return what is stored. OSError, and CredentialsError if others can read or change it."""
    # A named pipe that nobody writes to keeps no command waiting.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DamagedCredentialsError(
                f"{path} is not a file.", next_step="Move it away, and run `casemate login` again."
            )
        if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
            raise CredentialsError(
                f"{path} can be read or changed by others.",
                next_step=f"Run `chmod 600 {path}`; if others had access, `casemate logout` and "
                "log in again.",
            )
        return os.read(descriptor, _MAX_BYTES)
    finally:
        os.close(descriptor)


def store(credentials: Credentials, environ: Mapping[str, str] = os.environ) -> Path:
    """Write credentials for their owner alone (mode 0600), all or nothing; return the file."""
    path = file_path(environ)
    data = {
        "url": credentials.url,
        "key": credentials.key,
        "allow_http": credentials.allow_http,
        "ca": credentials.ca,
    }
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with draft_file(path.parent, ".credentials-", "") as (draft, descriptor):
            with os.fdopen(descriptor, "w", closefd=False) as file:
                json.dump(data, file)
            os.fsync(descriptor)
            draft.replace(path)
    except OSError as error:
        raise CredentialsError(
            f"{path} cannot be written: {error.strerror}.",
            next_step="Make the folder writable, or set CASEMATE_URL and CASEMATE_KEY instead.",
        ) from error
    return path


def forget(environ: Mapping[str, str] = os.environ) -> bool:
    """Remove the stored credentials; False if there were none."""
    path = file_path(environ)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise CredentialsError(
            f"{path} cannot be removed: {error.strerror}.", next_step="Remove it yourself."
        ) from error
    return True
