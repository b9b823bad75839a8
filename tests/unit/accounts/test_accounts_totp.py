"""Time-based codes against the vectors of the RFCs."""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.accounts import totp
from casemate.cli.qr_code import show_qr_code
from support.accounts import secret_of

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("now", "code"),
    [  # RFC 6238, appendix B, the last six digits
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_vectors(now: int, code: str) -> None:
    assert totp.code_at(SECRET, now // 30) == code
    assert totp.step_of(SECRET, code, now) == now // 30


def test_spaces_as_applications_show_them() -> None:
    assert totp.step_of(SECRET, " 287 082 ", 59) == 1


@pytest.mark.parametrize(
    "code",
    [
        "",
        "28708",
        "2870822",
        "abcdef",
        "\uff12\uff18\uff17\uff10\uff18\uff12",
        "287082\x00",
        "-87082",
    ],
)
def test_what_is_no_code(code: str) -> None:
    assert totp.step_of(SECRET, code, 59) is None


@pytest.mark.parametrize("off", [-10, -2, -1, 0, 1, 2, 10])
def test_steps_off(off: int) -> None:
    now = 1111111111
    code = totp.code_at(SECRET, now // 30 + off)
    step = totp.step_of(SECRET, code, now)
    assert step is not None
    assert totp.steps_off(step, now) == off


def test_beyond_the_window_nothing_matches() -> None:
    now = 1111111111
    assert totp.step_of(SECRET, totp.code_at(SECRET, now // 30 + 11), now) is None


@given(st.binary(min_size=20, max_size=20), st.text(max_size=12), st.floats(0, 2**40))
def test_never_raises(secret: bytes, code: str, now: float) -> None:
    step = totp.step_of(secret, code, now)
    assert step is None or totp.code_at(secret, step) == "".join(code.split())


def test_uri() -> None:
    uri = totp.otpauth_uri(SECRET, "ada", "Case mate")
    assert uri.startswith("otpauth://totp/Case%20mate:ada?secret=")
    assert "issuer=Case%20mate" in uri
    assert secret_of(uri) == SECRET
    assert set(parse_qs(urlsplit(uri).query)) == {"secret", "issuer"}, "others are the defaults"


def test_the_code_fits_a_terminal_of_24_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for name in ("ada", "a" * 30):
        assert show_qr_code(totp.otpauth_uri(totp.new_secret(), name, "Casemate"))
        assert len(capsys.readouterr().err.splitlines()) <= 23, "and a line asks for the code"


def test_secrets_differ() -> None:
    assert len({totp.new_secret() for _ in range(50)}) == 50
    assert len(totp.new_secret()) == 20
