"""Rules about projects of Casemate: what a manifest opens that is closed without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from casemate.audit.documents import place_of
from casemate.audit.finding import Severity
from casemate.audit.importers.aws.resource import at, listed, number, text, truth
from casemate.audit.model import Function, Place, Platform, Reach
from casemate.audit.rule import Check, Hit, Risk, Rule, Subject
from casemate.audit.rules.common import hit, writes
from casemate.audit.rules.examples import project

Found = tuple[str, Place] | None


def _of(
    wrong: Callable[[Function, Any], Iterator[tuple[str, Place]]],
) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        for f in subject.application.functions:
            if f.platform is Platform.CASEMATE:
                for told, place in wrong(f, f.setting("manifest")):
                    yield hit(f, told, place, f"{f.name} {told}")

    return check


def _key(name: str, bad: Callable[[Any], bool], told: str, *path: str) -> Check:
    """Return a check of one key of a function, or of a table in it."""

    def wrong(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
        table = at(m, *path) if path else m
        value = at(table, name)
        if value is not None and bad(value):
            yield told.format(value), place_of(table, name, f.place)

    return _of(wrong)


def _entries(name: str, bad: Callable[[Any], bool], told: str) -> Check:
    """Return a check of each entry of an array of tables."""

    def wrong(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
        found = at(m, *name.split("."))
        for index, each in enumerate(listed(found)):
            if bad(each):
                yield told, place_of(found, index, f.place)

    return _of(wrong)


def _no_contract(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    for t in f.triggers:
        if (
            t.kind == "http"
            and t.method in ("POST", "PUT", "PATCH", "ANY")
            and not t.settings.get("contract")
        ):
            yield f"{t.method} {t.path} takes any JSON within the limits", t.place


def _public_writes(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    if f.reach is Reach.PUBLIC and writes(f):
        yield "everybody can call it, and it may change data", place_of(m, "public", f.place)


def _public_direct(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    if (
        f.reach is Reach.PUBLIC
        and not any(t.kind == "http" for t in f.triggers)
        and not at(m, "contract")
    ):
        yield "everybody can call it with any payload", place_of(m, "public", f.place)


def _whole_bucket(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    for s in f.permissions:
        if (
            s.resources[0].startswith("bucket/")
            and ("bucket:write" in s.actions or "bucket:delete" in s.actions)
            and not listed(s.conditions.get("prefixes"))
            and f.reach is not Reach.INTERNAL
        ):
            yield f"it may write every key of {s.resources[0]}", s.place


def _wild_hosts(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    for s in f.permissions:
        if s.resources[0].startswith("egress/") and "*" in s.resources[0]:
            yield f"it may reach {s.resources[0][7:]}", s.place


def _private_hosts(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    for s in f.permissions:
        if s.resources[0].startswith("egress/") and truth(s.conditions.get("private")):
            yield f"it may reach the private address of {s.resources[0][7:]}", s.place


_PLAIN_PORTS = frozenset((80, 21, 23, 389, 1883))
_LOCAL = frozenset(("127.0.0.1", "::1", "localhost"))


def _plain_hosts(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    for s in f.permissions:
        host, port = s.resources[0].removeprefix("egress/"), s.conditions.get("port")
        if port in _PLAIN_PORTS and s.actions[0].startswith("egress:") and host not in _LOCAL:
            yield f"{host}:{port} is reached without encryption", s.place


def _plain_sources(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    for t in f.triggers:
        if (
            text(t.settings.get("host")) not in _LOCAL
            and truth(t.settings.get("tls"), default=True) is False
            and t.kind
            in (
                "valkey",
                "postgres",
                "rabbitmq",
                "mqtt",
                "nats",
            )
        ):
            yield f"{t.kind} {text(t.settings.get('host'))} is read without encryption", t.place


def _no_end(f: Function, m: Any) -> Iterator[tuple[str, Place]]:
    kept = [t for t in f.triggers if t.kind in ("queue", "topic", "bucket", "table", "schedule")]
    if kept and not listed(at(m, "delivery", "on_failure")):
        yield "nobody is notified when its events are given up", kept[0].place


def _unlocked(subject: Subject) -> Iterator[Hit]:
    for f in subject.application.functions:
        named = (
            text(at(f.setting("manifest"), "requirements"))
            if f.platform is Platform.CASEMATE
            else ""
        )
        if named.endswith("pyproject.toml"):
            yield hit(
                f,
                f"{named} has version ranges, no exact versions",
                subject=f"{f.name} requirements",
            )


def _rule(
    id: str,
    title: str,
    risk: Risk,
    owasp: str,
    cwe: int,
    severity: Severity,
    why: str,
    fix: str,
    check: Check,
    bad: Any,
    good: Any,
) -> Rule:
    return Rule(
        id=id,
        title=title,
        risk=risk,
        owasp=owasp,
        cwe=cwe,
        severity=severity,
        why=why,
        fix=fix,
        check=check,
        vulnerable=bad,
        fixed=good,
    )


def _minutes(value: Any) -> bool:
    written = text(value)
    found = number(written.rstrip("smh"))
    return (
        found is not None
        and found * {"m": 60, "h": 3600}.get(written[-1:], 1) > 60
        and not written.endswith("ms")
    )


_P, _S = Risk, Severity
_ROUTE = '[[function.thing.http]]\nmethod = "POST"\npath = "/things"\n'
_REASON = 'reason = "looked at by two people"'

RULES = (
    _rule(
        "CM-001",
        "Route without a contract",
        _P.INPUT,
        "SAS-01",
        20,
        _S.LOW,
        "Any JSON reaches the code, which has to check all of it itself.",
        "Write a contract: casemate contract infer. Where files come, accept it: one is of JSON.",
        _of(_no_contract),
        project("", _ROUTE),
        project("", _ROUTE + 'contract = "thing.json"'),
    ),
    _rule(
        "CM-002",
        "Everybody can change data",
        _P.PERMISSIONS,
        "SAS-02",
        306,
        _S.MEDIUM,
        "Without a token nobody can be told apart. Whatever it may write, everybody may write.",
        "Remove public. Where the code itself decides who may, by a signature for instance, accept "
        "the finding at its line.",
        _of(_public_writes),
        project(
            "public = true",
            '[function.thing.grants]\ntables = [{ name = "t", actions = ["put"] }]\n[table.t]\nkey = "id"',
        ),
        project(
            "",
            '[function.thing.grants]\ntables = [{ name = "t", actions = ["put"] }]\n[table.t]\nkey = "id"',
        ),
    ),
    _rule(
        "CM-003",
        "Processes that are reused",
        _P.PERMISSIONS,
        "SAS-03",
        488,
        _S.MEDIUM,
        "Globals, files and threads of one call are still there in the next.",
        'Remove isolation = "instance".',
        _key("isolation", lambda v: v == "instance", "processes are reused as they are"),
        project('isolation = "instance"'),
        project('isolation = "request"'),
    ),
    _rule(
        "CM-004",
        "Guard that is off for all sinks",
        _P.INPUT,
        "SAS-01",
        693,
        _S.HIGH,
        "Events can run their own syntax there: SQL, shell, paths, templates.",
        "Name the one sink and the one line.",
        _entries(
            "guard",
            lambda e: at(e, "sink") == "*",
            "the guard reports instead of blocking, for every sink",
        ),
        project("", f'[[function.thing.guard]]\nsink = "*"\nlocation = "app:handler"\n{_REASON}'),
        project("", f'[[function.thing.guard]]\nsink = "sql"\nlocation = "app:handler"\n{_REASON}'),
    ),
    _rule(
        "CM-005",
        "Guard that is off everywhere",
        _P.INPUT,
        "SAS-01",
        693,
        _S.MEDIUM,
        "Code that is written later gets through as well.",
        "Name the module and function, or the line.",
        _entries(
            "guard",
            lambda e: at(e, "location") == "*",
            "the guard reports instead of blocking, in the whole function",
        ),
        project("", f'[[function.thing.guard]]\nsink = "sql"\nlocation = "*"\n{_REASON}'),
        project("", f'[[function.thing.guard]]\nsink = "sql"\nlocation = "app:handler"\n{_REASON}'),
    ),
    _rule(
        "CM-006",
        "Answers that may reveal everything",
        _P.ERRORS,
        "SAS-06",
        209,
        _S.MEDIUM,
        "Traces, paths and database errors reach callers.",
        "Name what callers may see, and on which route.",
        _entries(
            "errors",
            lambda e: at(e, "what") == "*" or at(e, "place") == "*",
            "answers may reveal internals",
        ),
        project("", f'[[function.thing.errors]]\nplace = "*"\nwhat = "*"\n{_REASON}'),
        project("", f'[[function.thing.errors]]\nplace = "invoke"\nwhat = "path"\n{_REASON}'),
    ),
    _rule(
        "CM-007",
        "Hosts by a pattern",
        _P.PERMISSIONS,
        "SAS-05",
        183,
        _S.MEDIUM,
        "Whoever takes over the function can send data to any matching host, also to one of "
        "their own.",
        "Name the hosts.",
        _of(_wild_hosts),
        project(
            "",
            '[function.thing.grants]\negress = [{ host = "*.example.com", exception = "many shops" }]',
        ),
        project("", '[function.thing.grants]\negress = [{ host = "api.example.com" }]'),
    ),
    _rule(
        "CM-008",
        "Private addresses",
        _P.PERMISSIONS,
        "SAS-05",
        918,
        _S.LOW,
        "It can reach services that trust the inside of your network.",
        "Grant it only to the one function that needs it, and require credentials there.",
        _of(_private_hosts),
        project(
            "",
            '[function.thing.grants]\negress = [{ host = "db.lan", private = true, exception = "our database" }]',
        ),
        project("", '[function.thing.grants]\negress = [{ host = "api.example.com" }]'),
    ),
    _rule(
        "CM-009",
        "Hosts without encryption",
        _P.RESPONSIBILITY,
        "SAS-03",
        319,
        _S.MEDIUM,
        "Anybody on the network path can read and change what is sent.",
        "Use the port with TLS.",
        _of(_plain_hosts),
        project("", '[function.thing.grants]\negress = [{ host = "api.example.com", port = 80 }]'),
        project("", '[function.thing.grants]\negress = [{ host = "api.example.com", port = 443 }]'),
    ),
    _rule(
        "CM-010",
        "Personal data shown in logs",
        _P.MONITORING,
        "SAS-03",
        532,
        _S.LOW,
        "Data that would be masked is kept in clear text.",
        "Remove the exception once it is no longer needed.",
        _entries("logs.unmasked", lambda e: True, "a kind of data is shown in logs"),
        project("", f'[function.thing.logs]\nunmasked = [{{ kind = "email", {_REASON} }}]'),
        project("", '[function.thing.logs]\nkeep = "7d"'),
    ),
    _rule(
        "CM-011",
        "Server used without encryption",
        _P.RESPONSIBILITY,
        "SAS-03",
        319,
        _S.HIGH,
        "Anybody on the network path can read and change its password and all events.",
        "Remove tls = false.",
        _of(_plain_sources),
        project(
            "",
            '[[function.thing.valkey]]\nhost = "v.example.com"\nport = 6379\nstream = "s"\n'
            'tls = false\nexception = "the server has no certificate yet"',
        ),
        project("", '[[function.thing.valkey]]\nhost = "v.example.com"\nport = 6379\nstream = "s"'),
    ),
    _rule(
        "CM-012",
        "Failed events without notification",
        _P.ERRORS,
        "SAS-10",
        223,
        _S.INFO,
        "They become dead letters that somebody has to look for.",
        "Name on_failure in [function.NAME.delivery], or an alert on dead letters.",
        _of(_no_end),
        project("", '[queue.jobs]\n[[function.thing.queue]]\nqueue = "jobs"'),
        project(
            "",
            '[queue.jobs]\n[queue.bad]\n[[function.thing.queue]]\nqueue = "jobs"\n[function.thing.delivery]\non_failure = ["queue:bad"]',
        ),
    ),
    _rule(
        "CM-013",
        "Long calls",
        _P.RESPONSIBILITY,
        "SAS-06",
        770,
        _S.LOW,
        "Whoever finds a slow input can hold an instance for that time.",
        "Set timeout to what a call needs, and put long work on a queue.",
        _key("timeout", _minutes, "a call may take {}", "limits"),
        project("", '[function.thing.limits]\ntimeout = "900s"'),
        project("", '[function.thing.limits]\ntimeout = "10s"'),
    ),
    _rule(
        "CM-014",
        "High concurrency",
        _P.RESPONSIBILITY,
        "SAS-06",
        770,
        _S.LOW,
        "It can take the node from all other functions.",
        "Set concurrency to what is needed.",
        _key("concurrency", lambda v: (number(v) or 0) > 200, "{} run at once", "limits"),
        project("", "[function.thing.limits]\nconcurrency = 1000"),
        project("", "[function.thing.limits]\nconcurrency = 20"),
    ),
    _rule(
        "CM-015",
        "Answers for pages of any site",
        _P.RESPONSIBILITY,
        "SAS-06",
        942,
        _S.LOW,
        "An attacker's page can call it from the browser of whoever opens the page.",
        "Name the origins.",
        _key(
            "origins",
            lambda v: "*" in listed(v),
            "pages of any site may read its answers",
            "cors",
        ),
        project("", '[function.thing.cors]\norigins = ["*"]'),
        project("", '[function.thing.cors]\norigins = ["https://shop.example"]'),
    ),
    _rule(
        "CM-016",
        "Callers choose how events are kept",
        _P.INPUT,
        "SAS-06",
        770,
        _S.LOW,
        "Anybody without a token can delay, hurry and drop events.",
        "Remove delivery_headers.",
        _entries(
            "http",
            lambda e: truth(at(e, "delivery_headers")) is True,
            "callers without a token choose delay and priority",
        ),
        project("", _ROUTE + "asynchronous = true\ndelivery_headers = true"),
        project("", _ROUTE + "asynchronous = true"),
    ),
    _rule(
        "CM-017",
        "Grant for every key of a bucket",
        _P.PERMISSIONS,
        "SAS-05",
        250,
        _S.INFO,
        "A bug in it can replace objects of other functions.",
        "Name prefixes.",
        _of(_whole_bucket),
        project(
            "",
            '[bucket.b]\n[function.thing.grants]\nbuckets = [{ name = "b", actions = ["write"] }]',
        ),
        project(
            "",
            '[bucket.b]\n[function.thing.grants]\nbuckets = [{ name = "b", actions = ["write"], prefixes = ["in/"] }]',
        ),
    ),
    _rule(
        "CM-018",
        "Everybody can call it with anything",
        _P.INPUT,
        "SAS-01",
        20,
        _S.MEDIUM,
        "Direct calls accept any JSON within the limits.",
        "Write a contract for the function, or remove public.",
        _of(_public_direct),
        project("public = true"),
        project('public = true\ncontract = "c.json"'),
    ),
    _rule(
        "CM-019",
        "Requirements without versions",
        _P.DEPENDENCIES,
        "SAS-09",
        1357,
        _S.LOW,
        "The first build takes whatever was released last.",
        "Use a lock: uv.lock or pylock.toml.",
        _unlocked,
        project('requirements = "pyproject.toml"'),
        project('requirements = "uv.lock"'),
    ),
    _rule(
        "CM-020",
        "Route for all methods",
        _P.INPUT,
        "SAS-05",
        650,
        _S.INFO,
        "Methods that nobody thought of reach the code.",
        "Name the methods.",
        _entries("http", lambda e: at(e, "method") == "*", "the route accepts every method"),
        project("", _ROUTE.replace("POST", "*")),
        project("", _ROUTE),
    ),
)
