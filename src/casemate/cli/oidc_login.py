"""Login by an OpenID provider: authorization code with PKCE (RFC 7636) in the browser."""

from __future__ import annotations

import base64
import hashlib
import secrets
import webbrowser
from urllib.parse import urlencode, urlsplit

import httpx2

from casemate.cli.bounded_answer import bounded_answer, text_in
from casemate.cli.client import NodeClient
from casemate.cli.credentials import is_safe_url
from casemate.cli.errors import CommandError, DeniedError
from casemate.cli.login_requests import post
from casemate.cli.loopback_redirect import LoopbackRedirect
from casemate.cli.terminal import note
from casemate.decoding import DECODING_ERRORS
from casemate.model.oidc import ProviderLoginStart
from casemate.operations.login import BeginOidcLogin, OidcLogin, OpenedSession

PROVIDER_SECONDS = 15.0
MAX_ANSWER_BYTES = 256 * 1024
_NO_TOKEN = (httpx2.HTTPError, httpx2.InvalidURL, *DECODING_ERRORS)


def login(client: NodeClient, *, browser: bool) -> OpenedSession:
    """Log in at the provider that the node trusts; return the session the node opens for it.

    The answer comes to a port of this machine. Only the ID token goes on to the node; access and
    refresh tokens are dropped.
    """
    start = post(client, BeginOidcLogin())
    for url in (start.authorization_endpoint, start.token_endpoint):
        _require_safe(url)
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    redirect = LoopbackRedirect(state)
    try:
        url = _authorization_url(start, state, verifier, redirect.uri)
        note(f"Log in at the provider:\n{url}")
        if browser:
            webbrowser.open(url)
        answer = redirect.wait()
    finally:
        redirect.close()
    code = _code(answer, start)
    id_token = _exchange(start, code, verifier, redirect.uri)
    return post(client, OidcLogin(id_token=id_token))


def _require_safe(url: str) -> None:
    """Refuse to open or send to what is neither https nor this machine."""
    if is_safe_url(url):
        return
    raise DeniedError(
        "The node names a provider's address that is not https.",
        next_step="Have an owner check `casemate oidc show`.",
    )


def _authorization_url(start: ProviderLoginStart, state: str, verifier: str, redirect: str) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    query = urlencode(
        {
            "response_type": "code",
            "client_id": start.client_id,
            "redirect_uri": redirect,
            "scope": "openid",
            "state": state,
            "nonce": start.nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
    )
    separator = "&" if urlsplit(start.authorization_endpoint).query else "?"
    return f"{start.authorization_endpoint}{separator}{query}"


def _code(answer: dict[str, str], start: ProviderLoginStart) -> str:
    """Return the authorization code in an answer; DeniedError if it holds none."""
    if answer.get("iss", start.issuer) != start.issuer:  # RFC 9207: another provider's answer
        raise DeniedError(
            "The answer came from another provider than the one the node trusts.",
            next_step="Run `casemate login --oidc` again.",
        )
    if "code" not in answer:
        reason = answer.get("error_description") or answer.get("error") or "no reason given"
        raise DeniedError(
            f"The provider did not log you in: {reason[:200]}.",
            next_step="Run `casemate login --oidc` again, or ask whoever runs the provider.",
        )
    return answer["code"]


def _exchange(start: ProviderLoginStart, code: str, verifier: str, redirect: str) -> str:
    """Return the ID token for an authorization code."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect,
        "client_id": start.client_id,
        "code_verifier": verifier,
    }
    try:
        status, answer = bounded_answer(
            "POST", start.token_endpoint, PROVIDER_SECONDS, MAX_ANSWER_BYTES, data=form
        )
        if not 200 <= status < 300:
            raise CommandError(
                f"The provider answered {status} when the code was exchanged.",
                next_step="Check that the client is registered as a native (public) one with "
                "loopback redirects and PKCE.",
            )
        return text_in(answer, "id_token")
    except _NO_TOKEN as error:
        raise CommandError(
            f"The provider gave no ID token ({type(error).__name__}).",
            next_step="Check that the client may ask for the scope `openid`.",
        ) from error
