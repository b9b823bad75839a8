"""Tokens and data of persons leave a text by their shape; everything else stays as it was."""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Iterator

import pytest

from casemate.masking import ALWAYS, BY_CHOICE, KINDS, Masker
from casemate.masking.masker import REACH
from casemate.masking.personal import luhn
from casemate.model.function import Logs, Unmasked

LIMIT = 16_384
MARK = re.compile(r"\[redacted:([a-z-]+)#[0-9a-f]{8}\]")
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nabc/+=\n-----END RSA PRIVATE KEY-----"

SECRET = {
    "aws-key": ["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
    "github-token": ["ghp_" + "a1B2" * 9, "gho_" + "x" * 36, "github_pat_" + "11ABC_" * 12],
    "gitlab-token": ["glpat-" + "aB3_" * 5],
    "slack-token": ["xoxb-123456789012-abcdefghij", "xapp-1-A0123456789-abcdef"],
    "stripe-key": ["sk_live_" + "4eC39HqL" * 3, "rk_test_" + "4eC39HqL" * 3],
    "google-key": ["AIza" + "Sy0_-" * 7, "ya29." + "a0AfH6SM" * 4],
    "package-token": ["npm_" + "aB1" * 12, "pypi-AgEIcHlwaS5vcmc" + "aB1_" * 12],
    "service-key": [
        "sk-ant-api03-" + "aB1_" * 10,
        "hf_" + "aB" * 17,
        "SG." + "a" * 22 + "." + "b" * 43,
    ],
    "casemate-token": ["cm_0123456789abcdef_" + "aB3-" * 11 + "x"],
    "jwt": [JWT],
    "private-key": [KEY, KEY.replace("\n", "\\n")],
    "email": ["ann.o'neil+tag@mail.example.co.uk", "jürgen@bücher.example", "a%40example.com"],
    "card": ["4111111111111111", "5500-0000-0000-0004", "3782 822463 10005", "30569309025904"],
    "iban": ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "NO9386011117947"],
}
NATIONAL = {
    "br-cpf": ("111.444.777-35", "111.444.777-34"),
    "de-tax-id": ("86095742719", "86095742718"),
    "es-dni": ("12345678Z", "12345678A"),
    "fr-nir": ("2 55 08 14 168 025 38", "2 55 08 14 168 025 39"),
    "it-fiscal-code": ("RSSMRA85T10A562S", "RSSMRA85T10A562T"),
    "nl-bsn": ("111222333", "111222334"),
    "pl-pesel": ("44051401359", "44051401358"),
    "se-personnummer": ("811228-9874", "811228-9875"),
    "uk-nino": ("AB 12 34 56 C", "AB 12 34 56 E"),
    "us-ssn": ("123-45-6789", "666-45-6789"),
}
AROUND = [
    "{}",
    "value={} and more",
    'the "{}", then',
    "({})",
    "{}\n",
    "key: {}.",
    "\U0001f600{}\U0001f600",
]


DEFAULT = Logs()


def masked(text: str, logs: Logs = DEFAULT) -> str:
    return Masker().of("inv_1", logs).text(text, LIMIT)


def lines(*texts: str) -> list[str]:
    return Masker().of("inv_1", Logs()).lines(texts, LIMIT)


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize(("kind", "value"), [(k, v) for k, vs in SECRET.items() for v in vs])
def test_each_shape_is_masked_wherever_it_stands(kind: str, value: str, around: str) -> None:
    result = masked(around.format(value))
    assert MARK.findall(result) == [kind]
    assert MARK.sub("{}", result) == around


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("AUTHORIZATION: Token 9944b09199c62bcf", "9944b09199c62bcf"),
        ("{'Authorization': 'Bearer abc.def-ghi'}", "abc.def-ghi"),
        ("(b'authorization', b'Bearer abc12345')", "abc12345"),
        ("Proxy-Authorization: 0123456789abcdef0123", "0123456789abcdef0123"),
        ("sent bearer 0123456789abcdef0123", "0123456789abcdef0123"),
    ],
)
def test_credentials_in_headers_are_masked_and_the_scheme_stays(text: str, secret: str) -> None:
    result = masked(text)
    assert secret not in result
    assert MARK.sub(secret, result) == text


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgres://app:hunter2@db.internal:5432/x", "app:hunter2"),
        ("redis://:p4ss%21@cache", ":p4ss%21"),
        ("see https://me:a@b@example.com/x?y=z", "me:a@b"),
    ],
)
def test_passwords_in_addresses_are_masked(text: str, secret: str) -> None:
    assert MARK.sub(secret, masked(text)) == text != masked(text)


def test_an_aws_secret_is_known_by_its_name() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    for name in ("aws_secret_access_key = ", "AWS_SECRET_ACCESS_KEY=", '"SecretAccessKey": "'):
        assert secret not in masked(f"{name}{secret}")


def test_a_mark_of_the_vault_stays() -> None:
    for text in ("postgres://app:[redacted:db]@host", "Authorization: Bearer [redacted:api-key]"):
        assert masked(text) == text


# --- marks


def test_equal_values_have_equal_marks_within_an_invocation_alone() -> None:
    masker = Masker()
    first, again = masker.of("inv_1", Logs()), masker.of("inv_1", Logs())
    mark = first.text("ann@example.com", LIMIT)
    assert mark == again.text("Ann@Example.com", LIMIT) != first.text("bob@example.com", LIMIT)
    assert mark != masker.of("inv_2", Logs()).text("ann@example.com", LIMIT)
    assert mark != Masker().of("inv_1", Logs()).text("ann@example.com", LIMIT)
    cards = first.lines(["4111111111111111", "4111 1111 1111 1111"], LIMIT)
    assert cards[0] == cards[1]


def test_a_private_key_is_masked_over_lines() -> None:
    result = lines("before", *KEY.split("\n"), "after", "MIIEowIBAAKCAQEA")
    assert (result[0], *result[-2:]) == ("before", "after", "MIIEowIBAAKCAQEA")
    assert all(line.startswith("[redacted:private-key") for line in result[1:-2])


def test_a_private_key_that_does_not_end_takes_nothing_else_with_it() -> None:
    result = lines("-----BEGIN PRIVATE KEY-----", "MIIEow", "an ordinary line", "MIIEow")
    assert result[2:] == ["an ordinary line", "MIIEow"]
    assert "MIIEow" not in result[1]


# --- settings


@pytest.mark.parametrize("kind", sorted(set(SECRET) - {"jwt"}))
def test_a_kind_that_is_left_out_stays_and_the_others_do_not(kind: str) -> None:
    logs = Logs(unmasked=(Unmasked(kind=kind, reason="shown to its owner"),))
    for value in SECRET[kind]:
        assert masked(value, logs) == value
    assert MARK.findall(masked(JWT, logs)) == ["jwt"]


@pytest.mark.parametrize("kind", BY_CHOICE)
def test_national_numbers_are_masked_where_they_are_asked_for(kind: str) -> None:
    right, wrong = NATIONAL[kind]
    text = f"the number is {right}, or {wrong}?"
    assert masked(text) == text
    result = masked(text, Logs(mask=(kind,)))
    assert MARK.findall(result) == [kind]
    assert MARK.sub(right, result) == text


def test_every_kind_has_a_trial() -> None:
    assert {*SECRET, *NATIONAL, "authorization", "url-password"} == set(KINDS)
    assert not set(ALWAYS) & set(BY_CHOICE)


# --- what stays


def benign(seed: int, count: int) -> Iterator[str]:
    """Yield lines as applications write them, with numbers of every sort."""
    draw = random.Random(seed)
    digits = lambda n: "".join(draw.choices("0123456789", k=n))  # noqa: E731
    hexes = lambda n: "".join(draw.choices("0123456789abcdef", k=n))  # noqa: E731
    makers = (
        lambda: f"order {digits(16)} paid, total {digits(3)}.{digits(2)} EUR",
        lambda: f"ORD-2026-{digits(8)} shipped with tracking {digits(18)}",
        lambda: f"request {uuid.UUID(int=draw.getrandbits(128))} took {digits(2)}.{digits(3)} ms",
        lambda: f"sha256:{hexes(64)} md5 {hexes(32)} commit {hexes(40)} {hexes(7)}",
        lambda: (
            f"2026-{digits(2)}-1{digits(1)}T10:{digits(2)}:30.{digits(6)}Z"
            f" ts=17{digits(11)} ns=17{digits(17)}"
        ),
        lambda: (
            f"numpy=={digits(1)}.{digits(2)}.{digits(1)} and"
            f" lodash@{digits(1)}.{digits(2)}.{digits(2)}"
        ),
        lambda: (
            f"call +49 {digits(3)} {digits(8)} or 0{digits(3)}/{digits(7)} or"
            f" +1-{digits(3)}-555-{digits(4)}"
        ),
        lambda: f"listening on http://10.0.{digits(2)}.{digits(1)}:8080/path?id={digits(9)}",
        lambda: "git clone git@github.com:shop/app.git at icon@2x.png for @someone, @app.route",
        lambda: f"rows={digits(4)} bytes={digits(10)} ratio=0.{digits(16)} pi=3.14159265358979",
        lambda: (
            f"MAC 02:{hexes(2)}:{hexes(2)}:ff:00:11 v6 2001:db8::{hexes(4)} IP"
            f" 192.168.{digits(2)}.1"
        ),
        lambda: (
            f"Bearer of news: authorization: required, PRIVATE KEY rotation at step {digits(2)}"
        ),
        lambda: (
            f"INV{digits(8)} SKU AB12-CD34-{digits(4)} ISBN 978-3-{digits(2)}-148410-0"
            f" EAN {digits(13)}"
        ),
        lambda: (
            f"sk-learn risk-based task_live_{digits(3)} xoxo cm_to_inch glossary mask-{digits(20)}"
        ),
        lambda: f"snowflake 1{digits(18)} epoch {digits(10)} pid {digits(5)} offset={digits(16)}",
        lambda: f'{{"id": {digits(12)}, "trace": "{hexes(32)}", "span": "{hexes(16)}"}}',
        lambda: f"base64 {''.join(draw.choices('ABCDEFGHabcdefgh0123456789+/', k=60))}== done",
        lambda: (
            f"GPS 52.{digits(6)},13.{digits(6)} coordinates {digits(4)} {digits(3)} {digits(4)}"
        ),
    )
    for number in range(count):
        yield makers[number % len(makers)]()


def test_what_only_looks_alike_stays() -> None:
    every = list(benign(7, 18_000))
    touched = [(line, masked(line)) for line in every if masked(line) != line]
    assert len(touched) <= len(every) // 1000, touched[:10]


def test_numbers_of_cards_are_checked() -> None:
    assert luhn("4111111111111111") and not luhn("4111111111111112")
    for text in (
        "4111111111111112",
        "1111111111111117",
        "order 4111111111111111",
        "x4111111111111111",
    ):
        assert masked(text) == text
    assert MARK.findall(masked("order 4111 1111 1111 1111")) == ["card"]
    assert MARK.findall(masked('{"card_number": "4111111111111111"}')) == ["card"]


# --- hostile texts


def test_what_is_kept_of_a_long_text_ends_in_nothing_half_masked() -> None:
    mail = "someone@example.com"
    for before in range(LIMIT - 2 * len(mail), LIMIT + 3):
        result = masked("x" * (before - 1) + " " + mail + " " + "y" * 100_000)
        assert "someone" not in result and "example" not in result
        assert result.endswith("characters cut]")


def test_the_end_of_a_long_trace_begins_in_nothing_half_masked() -> None:
    key = "AKIAIOSFODNN7EXAMPLE"
    for after in range(1000 - 25, 1000 + 3):
        mask = Masker().of("inv_1", Logs())
        result = mask.end_of("x" * 3 * REACH + f" {key} " + "y" * after, 1000)
        assert "EXAMPLE" not in result and "AMPLE" not in result


@pytest.mark.parametrize(
    "text",
    ["\ud800", "\udcff@\udcff.com", "\x00\x1b[31m", "\U0001f600" * 50, "\ufeff@", "@", "%40"],
)
def test_texts_that_are_none_pass(text: str) -> None:
    assert masked(text) == text
    assert (
        MARK.sub("ann@example.com", masked(f"{text} ann@example.com")) == f"{text} ann@example.com"
    )


HOSTILE = [
    *("a@", "eyJ", "://a:", "4111 ", "-----BEGIN PRIVATE KEY-----", "DE89 ", "%40", "a.b@c."),
    *(
        "authorization: ",
        "Bearer ",
        "AKIA",
        "1",
        "a",
        "sk-",
        "xoxb-",
        "Proc-Type:",
        "gl",
        "_",
        "a@b.",
    ),
    *("ECRET_ACCESS_KEY=", "-----BEGIN PRIVATE KEY-----\\n", "://a:b", "SG.", "eyJ.", "SSN 123-"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_is_linear_in_the_text(piece: str) -> None:
    logs = Logs(mask=BY_CHOICE)

    def seconds(length: int) -> float:
        mask = Masker().of("inv_1", logs)
        text = (piece * length)[:length]
        best = 9.0
        for _ in range(3):
            began = time.thread_time()
            mask.text(text, length)
            best = min(best, time.thread_time() - began)
        return best

    long = seconds(64_000)
    assert long < 0.05 or long < 8 * seconds(16_000)
    assert long < 1.0


def test_a_gigabyte_is_not_looked_at() -> None:
    text = "a@b.example " * 8_000_000
    began = time.thread_time()
    result = masked(text)
    assert time.thread_time() - began < 0.5
    assert len(result) < 2 * LIMIT


def test_a_line_without_anything_costs_almost_nothing() -> None:
    text = (
        "2026-11-27 04:50:25,123 INFO app.worker handled request"
        " 0198c1f2-7b1c-7e3a-9a51-0242ac120002"
        " for customer_id=48213 in 12.3 ms with status 200 and 18 rows; cache=miss shard=eu-west-3b"
        " node=ip-10-0-12-7"
    )
    mask = Masker().of("inv_1", Logs())
    best = 1.0
    for _ in range(20):
        began = time.thread_time()
        for _ in range(500):
            mask.text(text, LIMIT)
        best = min(best, (time.thread_time() - began) / 500)
    assert len(text) >= 198
    assert best <= 3e-6 * 3  # machines of the tests are slower than those that are measured
