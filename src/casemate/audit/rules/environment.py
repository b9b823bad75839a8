"""Rules about variables of the environment that switch protections off, on any platform."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from casemate.audit.finding import Severity
from casemate.audit.rule import Check, Hit, Risk, Rule, Subject
from casemate.audit.rules.common import hit, literal
from casemate.audit.rules.examples import function
from casemate.audit.rules.plain_addresses import (
    PLAIN_WEB,
    SETTINGS,
    is_switched_off,
    plain_server,
)

_ON = ("1", "true", "yes", "on", "enabled")
_DEBUG = re.compile(r"^(?:(?:FLASK|DJANGO|APP|FASTAPI|SERVERLESS|SLS|CHALICE)_?DEBUG|DEBUG)$", re.I)
_LEVEL = re.compile(r"(?:^|_)LOG_?LEVEL$", re.I)


def _variables(wrong: Callable[[str, str], str | None]) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        for f in subject.application.functions:
            for v in f.environment:
                value = literal(v.value)
                text = wrong(v.name, value) if value is not None else None
                if text is not None:
                    yield hit(f, text, v.place, f"{f.name} {v.name}")

    return check


def _debug(name: str, value: str) -> str | None:
    if _DEBUG.match(name) and value.lower() in _ON:
        return f"{name} is on: errors reveal internals"
    if name in ("FLASK_ENV", "NODE_ENV", "RAILS_ENV") and value.lower() == "development":
        return f"{name} is development: errors reveal internals"
    return None


def _level(name: str, value: str) -> str | None:
    return (
        f"{name} is {value}: requests and secrets are in logs"
        if _LEVEL.search(name) and value.upper() in ("DEBUG", "TRACE", "SILLY")
        else None
    )


def _events(name: str, value: str) -> str | None:
    return (
        "each whole event is logged"
        if name == "POWERTOOLS_LOGGER_LOG_EVENT" and value.lower() in _ON
        else None
    )


def _tls(name: str, value: str) -> str | None:
    off = (
        (name == "NODE_TLS_REJECT_UNAUTHORIZED" and value == "0")
        or (name in ("PYTHONHTTPSVERIFY",) and value == "0")
        or (name in ("GIT_SSL_NO_VERIFY", "CURL_INSECURE") and value.lower() in _ON)
    )
    return f"{name} turns off certificate checks" if off else None


def _plain(name: str, value: str) -> str | None:
    plain = PLAIN_WEB.match(value) or plain_server(value, upgraded=False)
    return f"{name[:64]} is a URL without encryption" if plain else None


def _switched_off(name: str, value: str) -> str | None:
    off = any(of.search(name) and values.match(value) for of, values in SETTINGS)
    if off or is_switched_off(value):
        return f"{name[:64]} switches encryption off, or leaves it to the server"
    return None


def _loaded(name: str, value: str) -> str | None:
    if (
        name
        in (
            "LD_PRELOAD",
            "PYTHONPATH",
            "NODE_OPTIONS",
            "LD_LIBRARY_PATH",
            "AWS_LAMBDA_EXEC_WRAPPER",
        )
        and "/tmp" in value  # noqa: S108
    ):
        return f"{name} loads code from /tmp, where a function writes"
    return None


def _injected(name: str, value: str) -> str | None:
    on = {"PYTHONINSPECT", "PYTHONBREAKPOINT"}
    if name in on and value not in ("0", ""):
        return f"{name} lets others run code in it"
    return f"{name} opens a debugger" if name == "NODE_OPTIONS" and "--inspect" in value else None


def _rule(
    id: str,
    title: str,
    severity: Severity,
    why: str,
    fix: str,
    wrong: Callable[[str, str], str | None],
    bad: str,
    good: str,
    risk: Risk = Risk.RESPONSIBILITY,
    owasp: str = "SAS-06",
    cwe: int = 16,
    attack: str = "",
) -> Rule:
    return Rule(
        id=id,
        title=title,
        risk=risk,
        owasp=owasp,
        cwe=cwe,
        attack=attack,
        severity=severity,
        why=why,
        fix=fix,
        check=_variables(wrong),
        vulnerable=function(f"Environment: {{Variables: {{{bad}}}}}"),
        fixed=function(f"Environment: {{Variables: {{{good}}}}}"),
    )


RULES = (
    _rule(
        "ENV-001",
        "Debugging is on",
        Severity.MEDIUM,
        "Error pages show source, variables and paths to anybody who causes an error.",
        "Set it only for the development stage.",
        _debug,
        "FLASK_DEBUG: '1'",
        "FLASK_DEBUG: '0'",
        Risk.ERRORS,
        "SAS-06",
        489,
    ),
    _rule(
        "ENV-002",
        "Logs contain everything",
        Severity.LOW,
        "At that level, libraries log complete headers, bodies and queries.",
        "Set INFO or WARNING in production.",
        _level,
        "LOG_LEVEL: DEBUG",
        "LOG_LEVEL: INFO",
        Risk.MONITORING,
        "SAS-03",
        532,
    ),
    _rule(
        "ENV-003",
        "Whole events in logs",
        Severity.MEDIUM,
        "Passwords, tokens and personal data in events are kept in logs, for everybody who "
        "reads the logs.",
        "Set it only for the development stage.",
        _events,
        "POWERTOOLS_LOGGER_LOG_EVENT: 'true'",
        "POWERTOOLS_LOGGER_LOG_EVENT: 'false'",
        Risk.MONITORING,
        "SAS-03",
        532,
    ),
    _rule(
        "ENV-004",
        "Certificates are not checked",
        Severity.HIGH,
        "Anybody on the network path can pose as the server, and read and change everything.",
        "Remove it, and give the client the right certificate authority instead.",
        _tls,
        "NODE_TLS_REJECT_UNAUTHORIZED: '0'",
        "NODE_EXTRA_CA_CERTS: /opt/ca.pem",
        Risk.RESPONSIBILITY,
        "SAS-03",
        295,
        "T1557",
    ),
    _rule(
        "ENV-005",
        "URL without encryption",
        Severity.LOW,
        "Anybody on the network path can read and change what is sent there.",
        "Use https://, and amqps://, ldaps://, rediss:// and the like.",
        _plain,
        "BACKEND: 'http://api.partner.com/v1'",
        "BACKEND: 'https://api.partner.com/v1'",
        Risk.RESPONSIBILITY,
        "SAS-03",
        319,
        "T1040",
    ),
    _rule(
        "ENV-006",
        "Code is loaded from a writable place",
        Severity.HIGH,
        "One call can write code to /tmp that the next call runs.",
        "Load code only from the bundle or a layer.",
        _loaded,
        "PYTHONPATH: /tmp/lib",
        "PYTHONPATH: /opt/lib",
        Risk.INPUT,
        "SAS-01",
        426,
        "T1574",
    ),
    _rule(
        "ENV-007",
        "Remote debugger is enabled",
        Severity.MEDIUM,
        "Whoever reaches it can run code as the function.",
        "Remove it outside of development.",
        _injected,
        "NODE_OPTIONS: '--inspect=0.0.0.0:9229'",
        "NODE_OPTIONS: '--enable-source-maps'",
        Risk.ERRORS,
        "SAS-06",
        489,
    ),
    _rule(
        "ENV-008",
        "Encryption is switched off",
        Severity.MEDIUM,
        "Anybody on the network path can read passwords and data, and change them.",
        "Demand encryption and check the certificate: sslmode=verify-full, SASL_SSL.",
        _switched_off,
        "DATABASE_URL: 'postgresql://app@db.partner.com/app?sslmode=disable'",
        "DATABASE_URL: 'postgresql://app@db.partner.com/app?sslmode=verify-full'",
        Risk.RESPONSIBILITY,
        "SAS-03",
        319,
        "T1040",
    ),
)
