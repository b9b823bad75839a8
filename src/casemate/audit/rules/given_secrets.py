"""Secrets that a template gives: in the environment of a function, or as a parameter's default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from casemate.audit.finding import Severity
from casemate.audit.model import Function
from casemate.audit.rule import Hit, Subject
from casemate.audit.rules.common import literal
from casemate.audit.rules.secret_search import (
    FIREBASE,
    KEY_ID,
    digest_of,
    has_secret_key,
    random,
    secrets_in,
)

_PASSWORD = re.compile(r"(?:^|_)(?:PASSWORD|PASSWD|PASSPHRASE|PWD)(?:$|_)|(?:^|_)PASS$", re.I)
_SECRETIVE = re.compile(
    r"(?:^|_)(?:SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?|SIGNING_KEY)(?:$|_)",
    re.I,
)
_NOT_SECRET = re.compile(
    r"ARN|NAME|PATH|PARAM|_ID$|URL|URI|PREFIX|TABLE|BUCKET|FILE|REGION|TTL|EXPIR|LENGTH|HEADER|TYPE|VERSION|ALIAS|ENDPOINT|HOST|ITERATION|ROUND|POLICY|RESET|_MIN|_MAX|ENABLE|SALT|FIELD|LABEL|INDEX|ISSUER|AUDIENCE|ALGO",
    re.I,
)


def _id_alone(f: Function, value: str) -> bool:
    """Tell whether a function is given the id of an AWS key, and not the key."""
    others = (literal(v.value) or "" for v in f.environment)
    return bool(KEY_ID.fullmatch(value)) and not any(map(has_secret_key, others))


def environment(subject: Subject) -> Iterator[Hit]:
    """Yield the values that are secrets by the name of their variable."""
    declared = subject.application.settings.get("parameters", ())
    defaults = {literal(each.default) or "" for each in declared}
    for f in subject.application.functions:
        for v in f.environment:
            value = literal(v.value)
            name = _snake(v.name)
            if value is None or _NOT_SECRET.search(name) or _REFERENCE.match(value):
                continue
            if (_PASSWORD.search(name) and len(value) >= 4 and _literal_password(value)) or (
                _SECRETIVE.search(name) and len(value) >= 8 and random(value, least=2.8)
            ):
                milder = (
                    _to_fill(f, v.name, value, defaults) or _id_alone(f, value) or _shown(f, value)
                )
                milder = milder or (name.upper() in _OF_SESSIONS and _is_short_lived(f))
                yield Hit(
                    place=v.place,
                    text=f"{f.name}: the value of {v.name[:64]} is written there",
                    subject=f"{f.name} {v.name}",
                    function=f,
                    severity=Severity.MEDIUM if milder else None,
                    cause=digest_of(value),
                )


_OF_SESSIONS = frozenset(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))
_SESSION = "ASIA"


def _is_short_lived(f: Function) -> bool:
    """Tell whether the keys of AWS that a function is given ended within days of being written.

    Those of a session last 36 hours at most; whoever finds them later opens nothing.
    """
    return any(
        KEY_ID.fullmatch(v.value) and v.value.startswith(_SESSION) for v in f.environment
    ) and not any(KEY_ID.fullmatch(v.value) and v.value.startswith("AKIA") for v in f.environment)


def _opens_nothing(f: Function, name: str, value: str) -> bool:
    """Tell whether an AWS key in the environment is an id alone, or of a session that is over."""
    return _id_alone(f, value) or (name.upper() in _OF_SESSIONS and _is_short_lived(f))


_MADE_UP = re.compile(r"(?:your|my|some|enter)[-_]|[^\n]{0,40}\blocalhost\b", re.I)


def _to_fill(f: Function, name: str, value: str, defaults: Set[str]) -> bool:
    """Tell whether a value is to be filled in: `REDIS_PASSWORD: PASSWORD`, beside `localhost`.

    If it is not, it is a bad one.
    """
    others = (literal(v.value) or "" for v in f.environment)
    words = len(_words(value))
    written = value.isupper() or words > 1 or value in defaults
    return (written and _says_its_name(name, value)) or any(_MADE_UP.match(o) for o in others)


_FILLING = frozenset(
    (
        *("a", "an", "the", "my", "your", "our", "some", "change", "replace", "enter", "put"),
        "set",
        *("me", "this", "it", "here", "with", "in", "example", "sample", "placeholder", "dummy"),
        *("value", "default", "password", "passwd", "pass", "secret", "token", "key", "api", "db"),
        *("database", "user", "name", "todo", "changeme", "app", "client", "test", "access"),
    )
)


def _says_its_name(name: str, value: str) -> bool:
    """Tell whether a value is the words of a name, or those that ask for a value: `my-password`."""
    known = {*_words(name), *_FILLING}
    words = _words(value)
    has_digit = any(sign.isdigit() for sign in value)
    return bool(words) and not has_digit and all(word in known for word in words)


def _words(text: str) -> list[str]:
    return [each for each in re.split(r"[^a-z]", _snake(text).lower()) if each]


def _shown(f: Function, value: str) -> bool:
    """Tell whether a key is one of Google that the pages of a project show as well."""
    beside = ((literal(v.value) or "").endswith(FIREBASE) for v in f.environment)
    return value.startswith("AIza") and any(beside)


_REFERENCE = re.compile(
    r"(?:sm|ssm|aws-?s?sm|secretsmanager|awssecrets?(?:manager)?|bref-\w{2,20}|vault|op|berglas|kms"
    r"|gcp-?sm|keyvault|akv|doppler|infisical)(?:://?|:/)[\w$]"
    r"|projects/[^/\s]{1,60}/secrets/|secretref:",
    re.I,
)
"""Where a secret is kept, for what starts the function and asks for it: `sm:/shop/password`."""


def _literal_password(value: str) -> bool:
    return _REFERENCE.match(value) is None and not re.search(
        r"\$[{(]|\{\{|^arn:|^/|^ssm:|^<|^\*+$", value
    )


def known_in_environment(subject: Subject) -> Iterator[Hit]:
    """Yield the values that are known to be secrets by their form."""
    for f in subject.application.functions:
        for v in f.environment:
            for found in secrets_in(v.value, named=False) if literal(v.value) else ():
                yield Hit(
                    place=v.place,
                    text=f"{f.name}: {found.what} is the value of {v.name[:64]}",
                    subject=f"{f.name} {v.name}",
                    function=f,
                    severity=Severity.MEDIUM if _opens_nothing(f, v.name, v.value) else None,
                    cause=found.digest,
                )


def parameters(subject: Subject) -> Iterator[Hit]:
    """Yield the parameters that are secrets by their name and have a default."""
    for p in subject.application.settings.get("parameters", ()):
        value, name = literal(p.default) or "", _snake(p.name)
        told = _PASSWORD.search(name) or _SECRETIVE.search(name)
        meant = len(value) >= 4 and value.lower() not in _NO_VALUES and value[:1] != "/"
        if told and meant and p.type == "String" and not _NOT_SECRET.search(name):
            text = f"the parameter {p.name} has a default that everybody can read"
            yield Hit(place=p.place, text=text, subject=p.name)


_NO_VALUES = ("none", "null", "default", "false", "true")


def shown_parameters(subject: Subject) -> Iterator[Hit]:
    """Yield the parameters that are secrets by their name and are shown."""
    for p in subject.application.settings.get("parameters", ()):
        name = _snake(p.name)
        told = _PASSWORD.search(name) or _SECRETIVE.search(name)
        if told and not p.hidden and p.type == "String" and not _NOT_SECRET.search(name):
            text = f"the parameter {p.name} is shown to everybody who reads the stack"
            yield Hit(place=p.place, text=text, subject=p.name)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
