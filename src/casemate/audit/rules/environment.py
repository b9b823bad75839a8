"""Rules about variables of the environment that switch protections off, on any platform."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from casemate.audit.finding import Severity
from casemate.audit.rule import Check, Hit, Risk, Rule, Subject
from casemate.audit.rules.common import hit, literal
from casemate.audit.rules.examples import function

_ON = ("1", "true", "yes", "on", "enabled")
_DEBUG = re.compile(r"^(?:(?:FLASK|DJANGO|APP|FASTAPI|SERVERLESS|SLS|CHALICE)_?DEBUG|DEBUG)$", re.I)
_LEVEL = re.compile(r"(?:^|_)LOG_?LEVEL$", re.I)
_PLAIN = re.compile(
    r"^http://(?!localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|host\.docker|169\.254\.|[a-z0-9-]+(?::\d+)?(?:/|$)|[\w.-]+\.(?:internal|local|svc|cluster\.local|test|example)\b)[\w.-]+",
    re.I,
)


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
        return f"{name} is on: errors tell of the inside"
    if name in ("FLASK_ENV", "NODE_ENV", "RAILS_ENV") and value.lower() == "development":
        return f"{name} is development: errors tell of the inside"
    return None


def _level(name: str, value: str) -> str | None:
    return (
        f"{name} is {value}: requests and secrets are in logs"
        if _LEVEL.search(name) and value.upper() in ("DEBUG", "TRACE", "SILLY")
        else None
    )


def _events(name: str, value: str) -> str | None:
    return (
        "each event is logged as a whole"
        if name == "POWERTOOLS_LOGGER_LOG_EVENT" and value.lower() in _ON
        else None
    )


def _tls(name: str, value: str) -> str | None:
    off = (
        (name == "NODE_TLS_REJECT_UNAUTHORIZED" and value == "0")
        or (name in ("PYTHONHTTPSVERIFY",) and value == "0")
        or (name in ("GIT_SSL_NO_VERIFY", "CURL_INSECURE") and value.lower() in _ON)
    )
    return f"{name} turns the check of certificates off" if off else None


def _plain(name: str, value: str) -> str | None:
    return f"{name[:64]} is an address without encryption" if _PLAIN.match(value) else None


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
        return f"{name} lets code be run while it runs"
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
        "Error pages show source, variables and paths to whoever makes an error.",
        "Set it for the developers' stage alone.",
        _debug,
        "FLASK_DEBUG: '1'",
        "FLASK_DEBUG: '0'",
        Risk.ERRORS,
        "SAS-06",
        489,
    ),
    _rule(
        "ENV-002",
        "Logs tell everything",
        Severity.LOW,
        "At that level libraries log headers, bodies and queries with what is in them.",
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
        "Passwords, tokens and data of people in events are kept in logs, for everybody who reads those.",
        "Set it for the developers' stage alone.",
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
        "Everybody on the way can be the server, read and change all.",
        "Remove it; give the client the right authority instead.",
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
        "Address without encryption",
        Severity.LOW,
        "Everybody on the way reads and changes what is sent there.",
        "Use https://.",
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
        "What one call writes to /tmp is run by the next.",
        "Load code from the bundle or a layer alone.",
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
        "A debugger is let in",
        Severity.MEDIUM,
        "Who reaches it runs code as the function.",
        "Remove it outside of development.",
        _injected,
        "NODE_OPTIONS: '--inspect=0.0.0.0:9229'",
        "NODE_OPTIONS: '--enable-source-maps'",
        Risk.ERRORS,
        "SAS-06",
        489,
    ),
)
