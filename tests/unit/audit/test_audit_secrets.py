"""Secrets in texts: what is one, and what only looks like one."""

from __future__ import annotations

import time
import zlib

import pytest
from tests.unit.audit.test_audit_ordinary import told

from casemate.audit.rules.examples import service
from casemate.audit.rules.secret_search import secrets_in


def base62(number: int) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    made = ""
    while number:
        number, digit = divmod(number, 62)
        made = digits[digit] + made
    return made.rjust(6, "0")


BODY = "a8Kd0fJq3LmZ7xRt2WbVn5Yc9HgPs1"
GITHUB = f"ghp_{BODY}{base62(zlib.crc32(BODY.encode()))}"
WRONG_SUM = f"ghp_{BODY}{base62(zlib.crc32(b'other'))}"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"token = '{GITHUB}'", "github-token"),
        ("key: AKIA" + "Z3MHA7QWRT5YBN2K", "aws-key"),
        (
            "hook = 'https://hooks.slack.com/services/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'",
            "slack-token",
        ),
        ("url = 'postgres://shop:k9Tq2wLm8z@db.internal/x'", "url-password"),
        ("api_key = 'kV9mQ2xT7pLw4ZrN8sYb'", "named"),
        ("{'clientSecret': \"q8Zr2LmN7xKp4TwV9sYb\"}", "named"),
        ("const apiKey: string = 'kV9mQ2xT7pLw4ZrN8sYb'", "named"),
        ("api_key: str = 'kV9mQ2xT7pLw4ZrN8sYb'", "named"),
        ("export const secret = `kV9mQ2xT7pLw4ZrN8sYb`", "named"),
        ("process.env.API_KEY ||= 'x'; this.apiKey = 'kV9mQ2xT7pLw4ZrN8sYb'", "named"),
        ("stripe = 'sk_live_" + "51H8kQzLm2NpRtXw4Vb7Yc'", "stripe-key"),
    ],
)
def test_what_is_a_secret_is_found(text: str, kind: str) -> None:
    found = list(secrets_in(text))
    assert [each.kind for each in found] == [kind]
    assert all(text[5:20] not in each.what for each in found)


@pytest.mark.parametrize(
    "text",
    [
        f"token = '{WRONG_SUM}'",
        "key = 'AKIAIOSFODNN7EXAMPLE'",
        "key = 'AKIA0000000000000000'",
        "secret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'",
        "password = 'changeme123'",
        "password = os.environ['PASSWORD_OF_SHOP']",
        "password = '${DB_PASSWORD}'",
        "secret_name = 'arn:aws:secretsmanager:eu-west-1:1:secret:shop'",
        "api_key = '/shop/prod/api-key'",
        "password_field = 'PasswordConfirmation'",
        "secret: 'secretsmanager/database/main'",
        "url = 'postgres://user:password@localhost/x'",
        "url = 'postgres://postgres:postgres@db/x'",
        "url = 'https://user:${TOKEN}@a.example'",
        "client_secret = 'your-client-secret'",
        "token = 'xoxb-your-token'",
        "STRIPE = 'sk_test_51H8kQzLm2NpRtXw4Vb7Yc'",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "sha = '0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33'",
        "integrity = 'sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP=='",
        "uuid = '123e4567-e89b-12d3-a456-426614174000'",
        "self.password_hasher = 'django.contrib.auth.hashers.Argon2'",
        "pwd = process.env.PWD || 'nothing-here'",
        "'AWS::ApiGateway::ApiKey': '48205d4ffd7feba3'",
        "const apiKey: string = `${stage}-kV9mQ2xT7pLw4ZrN8sYb`",
        "interface A { apiKey: string; secret: 'kV9mQ2xT' | 'other' }",
        "const secretManager = new SecretsManagerClient({ region: 'eu-west-1' })",
    ],
)
def test_what_only_looks_like_one_is_passed_over(text: str) -> None:
    assert list(secrets_in(text)) == []


def test_places_are_those_of_the_values() -> None:
    [found] = secrets_in(f"a\nb\nx = '{GITHUB}'\n")
    assert (found.line, found.column) == (3, 6)


@pytest.mark.parametrize(
    "unit",
    [
        "password=",
        "api_key = '",
        "AKIA",
        "://a:b",
        "-----BEGIN ",
        "ghp_",
        "secret\"'=",
        "_.-a",
        "secret: a",
    ],
)
def test_hostile_texts_take_time_in_proportion(unit: str) -> None:
    def spent(times: int) -> float:
        text = unit * (times // len(unit))
        started = time.process_time()
        list(secrets_in(text))
        return time.process_time() - started

    spent(10_000)
    assert spent(400_000) < max(20 * spent(40_000), 1.0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("db:\n  password: k9Tq2wLm8zXr\n", 1),
        ("auth:\n  rootPassword: k9Tq2wLm8zXr # of the first day\n", 1),
        ("apiToken: kV9mQ2xT7pLw4ZrN8sYb\n", 1),
        ("db:\n  password: changeme-please\n", 0),
        ("db:\n  passwordSecretName: app-db-7f9c2k\n", 0),
        ("db:\n  existingSecret: app-db-7f9c2k\n", 0),
        ("db:\n  password: ${DB_PASSWORD_9f2k}\n", 0),
        ("db:\n  password:\n    secretKeyRef: {name: a, key: k9Tq2wLm8zXr}\n", 0),
        ("db:\n  password: *anchor9f2kQw\n", 0),
    ],
)
def test_values_of_a_chart_stand_without_quotes(text: str, found: int) -> None:
    assert len(list(secrets_in(text, values=True))) == found
    assert len(list(secrets_in(text))) == 0


def test_only_values_of_charts_are_read_so() -> None:
    text = "db:\n  password: k9Tq2wLm8zXr\n"
    for name, found in (("values.yaml", 1), ("chart/values-prod.yml", 1), ("compose.yaml", 0)):
        assert told({**service(), name: text}, "SEC-004") == found, name
