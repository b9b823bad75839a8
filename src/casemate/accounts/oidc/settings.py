"""Which OpenID provider the node trusts, as the owner set it."""

from __future__ import annotations

from urllib.parse import urlsplit

from casemate.accounts.errors import OidcSettingsError
from casemate.model.loopback import is_loopback
from casemate.model.oidc import OidcSettings

MAX_TEXT = 512


def require_safe_url(url: str, what: str) -> None:
    """Raise OidcSettingsError unless `url` is https, or http to this machine itself."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise _refused(what, url, "a valid address") from error
    printable = url.isascii() and url.isprintable() and not set(url) & set(' "<>\\^`{|}')
    if not printable or len(url) > MAX_TEXT or port == 0:
        raise _refused(what, url, "a valid address")
    if not host or parts.username is not None or parts.password is not None or parts.fragment:
        raise _refused(what, url, "a host, and neither a user nor a fragment")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return
    raise _refused(what, url, "https (plain http only to this machine itself)")


def require_issuer(url: str) -> None:
    """Raise OidcSettingsError unless `url` can be that of an issuer (Discovery 1.0, section 3)."""
    require_safe_url(url, "issuer")
    if "?" in url:
        raise _refused("issuer", url, "no query")


def _refused(what: str, url: str, expected: str) -> OidcSettingsError:
    return OidcSettingsError(
        f"The {what} is {url[:120]!r}, expected {expected}.",
        next_step="Give the issuer's address as its documentation or "
        "`ISSUER/.well-known/openid-configuration` spells it.",
    )


def require_valid(settings: OidcSettings) -> None:
    """Raise OidcSettingsError if settings cannot be right."""
    require_issuer(settings.issuer)
    for what, text in (
        ("client id", settings.client_id),
        *(("audience", audience) for audience in settings.audiences),
    ):
        if not text or len(text) > MAX_TEXT or not text.isprintable():
            raise OidcSettingsError(
                f"The {what} is {text[:80]!r}, expected 1 to {MAX_TEXT} printable characters.",
                next_step="Copy it from the client's registration at the provider.",
            )
    if len(settings.audiences) > 16:
        raise OidcSettingsError(
            f"There are {len(settings.audiences)} audiences, expected at most 16."
        )
