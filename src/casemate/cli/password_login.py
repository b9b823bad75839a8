"""Login and enrolment with password and authenticator, by questions at the terminal."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs, urlsplit

from casemate.cli.client import NodeClient
from casemate.cli.errors import UsageError
from casemate.cli.login_requests import post, require_answer
from casemate.cli.prompts import read_secret
from casemate.cli.qr_code import show_qr_code
from casemate.cli.terminal import note, print_line
from casemate.operations.login import BeginEnrolment, ConfirmEnrolment, Login, OpenedSession

_DIGITS = 6


def login(client: NodeClient, name: str) -> OpenedSession:
    """Ask for password and code, and return the session that the node opens."""
    password = _line(read_secret(f"Password of {name}: "))
    code = _code(read_secret("Code of the authenticator: "))
    return post(client, Login(name=name, password=password, code=code))


def enrol(client: NodeClient, name: str) -> None:
    """Ask for the one-time code and a new password, and set up the second factor."""
    from casemate.accounts.passwords import require_acceptable  # slow to load

    code = require_answer(read_secret("Enrolment code: "), "enrolment code")
    password = _line(read_secret("New password (12 characters or more): "))
    require_acceptable(password, name)  # the node asks the same; here before it is typed again
    again = _line(read_secret("The same again: "))
    if not hmac.compare_digest(password.encode(), again.encode()):
        raise UsageError(
            "The two passwords are not the same; nothing was changed.",
            next_step="Run it again.",
        )
    factor = post(client, BeginEnrolment(name=name, code=code, password=password))
    note("Add this to your authenticator, by hand or as a QR code:")
    print_line(factor.otpauth_uri)
    secret = parse_qs(urlsplit(factor.otpauth_uri).query).get("secret", [""])[0]
    note(f"Secret to type: {' '.join(secret[i : i + 4] for i in range(0, len(secret), 4))}")
    show_qr_code(factor.otpauth_uri)  # last: what is above it may leave a small terminal
    totp = _code(read_secret("Code that it shows now: "))
    post(client, ConfirmEnrolment(name=name, code=code, totp=totp))


def _code(text: str) -> str:
    """Return the code of an authenticator; some show it in two groups."""
    code = "".join(require_answer(text, "code").split())
    if len(code) != _DIGITS or not (code.isascii() and code.isdecimal()):
        raise UsageError(
            f"That is not a code of an authenticator, which has {_DIGITS} digits.",
            next_step="Run it again, and type the one that is shown then.",
        )
    return code


def _line(text: str) -> str:
    """Return what was typed without the end of the line: spaces belong to a password."""
    return text.rstrip("\r\n")
