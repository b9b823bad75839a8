"""Days of ten applications in which nobody attacks: what a journal holds of them.

Written from what such applications and the people around them do, not from the rules: shifts,
releases, broken clients, shared addresses, jobs at night, mistakes. Reproducible by its seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from casemate.drills.recorded import MIDNIGHT, event_of

DAY = 86_400.0
OFFICE = "203.0.113.20"
"""One address of all who work in one building."""
_RUNNERS = tuple(f"198.51.100.{n}" for n in range(10, 14))
_NO_TOKEN = "The token is not valid, expired or revoked."

Happening = tuple[float, str, dict[str, Any]]


class App:
    """One application: functions, who works on it, and what its callers are like."""

    def __init__(self, name: str, functions: tuple[str, ...], people: tuple[str, ...]) -> None:
        """`people` are user names; the first is who releases."""
        self.name, self.functions, self.people = name, functions, people
        self.versions = dict.fromkeys(functions, 1)

    def at(self, function: str) -> dict[str, Any]:
        """Return the fields that say of which function something is."""
        return {"project": self.name, "function": function, "version": self.versions[function]}

    def used(self, function: str, grant: str, action: str, count: int = 1) -> dict[str, Any]:
        """Return a use of a grant."""
        by = f"function:{self.name}/{function}"
        return {**self.at(function), "by": by, "grant": grant, "action": action, "count": count}

    def denied(
        self, function: str, kind: str, by: str, address: str, **rest: str
    ) -> dict[str, Any]:
        """Return a refusal at a function's door."""
        found: dict[str, Any] = {**self.at(function), "by": by, "kind": kind, **rest}
        found.setdefault("action", "function:invoke")
        found.setdefault("resource", f"function:{self.name}/{function}")
        return found | ({"remote_address": address} if address else {})


APPS = (
    App("shop", ("orders", "cart", "search", "checkout", "mail"), ("ada", "bo", "cem")),
    App("blog", ("pages", "comments", "feed"), ("dora", "eli")),
    App("telemetry", ("ingest", "rollup", "alarm"), ("fred", "gil")),
    App("images", ("upload", "resize", "expire"), ("hana",)),
    App("warehouse", ("extract", "load", "report", "prune"), ("ivo", "jo")),
    App("hooks", ("github", "stripe", "notify"), ("kim", "lea")),
    App("platform", tuple(f"service{n}" for n in range(14)), ("max", "nils", "ora")),
    App("crm", ("contacts", "export", "import"), ("pia", *(f"staff{n}" for n in range(30)))),
    App("mobile", ("session", "profile", "push"), ("quin", "rob")),
    App("science", ("train", "score", "plot"), ("sue", "tom")),
)


def _morning(chance: random.Random, day: float, app: App) -> Iterator[Happening]:
    """People sign in, some of them at the second try; half of them work elsewhere."""
    for person in app.people:
        if chance.random() < 0.2:
            continue  # on leave
        home = f"192.0.2.{hash_of(person) % 200}"
        address = OFFICE if chance.random() < 0.6 else home
        at = day + chance.uniform(7, 10) * 3600
        by = f"user:{person}"
        for _ in range(chance.choice((0, 0, 0, 0, 0, 0, 1, 1, 2))):
            refused = {"by": by, "remote_address": address, "kind": "authentication"}
            yield (
                at,
                "Denial",
                {**refused, "action": "login", "resource": "node", "reason": "refused"},
            )
            at += chance.uniform(5, 30)
        yield at, "SignedIn", {"by": by, "remote_address": address, "method": "password"}
        if chance.random() < 0.4:  # after lunch, or on the telephone's network
            later = at + chance.uniform(3, 8) * 3600
            address = chance.choice((address, f"192.0.2.{200 + hash_of(person) % 50}"))
            yield later, "SignedIn", {"by": by, "remote_address": address, "method": "password"}
        for _ in range(chance.randrange(3)):  # somebody looks where they may not
            forbidden = {"by": by, "remote_address": address, "kind": "authorization"}
            forbidden |= {"action": chance.choice(("log:read", "function:read", "table:query"))}
            forbidden |= {"resource": f"project:{chance.choice(APPS).name}"}
            forbidden |= {"reason": "no policy allows it"}
            yield at + chance.uniform(0, 6 * 3600), "Denial", forbidden


def hash_of(text: str) -> int:
    """Return the same number for a text in every process."""
    return sum(ord(letter) * (place + 1) for place, letter in enumerate(text))


def _releases(chance: random.Random, day: float, app: App) -> Iterator[Happening]:
    """A build service deploys after merges; a person does so now and then, and rolls back."""
    many, owner = app.name == "platform", f"user:{app.people[0]}"
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        at = day + chance.uniform(9, 18) * 3600
        by, address = f"token:deploy-{app.name}", chance.choice(_RUNNERS)
        chosen = app.functions if many else (chance.choice(app.functions),)
        for function in chosen:
            app.versions[function] += 1
            deployed = {**app.at(function), "by": by, "account": owner, "digest": "d"}
            deployed |= {"remote_address": address}
            yield at, "VersionDeployed", deployed
            performed = {"by": by, "account": owner, "remote_address": address}
            performed |= {"project": app.name}
            performed |= {"operation": "deployFunctions", "effect": "change"}
            performed |= {"action": "function:deploy"}
            yield at, "OperationPerformed", {**performed, "function": function}
            if chance.random() < 0.05:
                trigger = {"trigger": "schedule", "change": "changed", "name": "nightly"}
                changed = {**app.at(function), "by": by, "remote_address": address, **trigger}
                yield at, "TriggerChanged", {**changed, "when": "0 4 * * * UTC", "first": False}
            at += chance.uniform(1, 6)
        if chance.random() < 0.1:  # it asks for one more grant: refused, reviewed, approved
            function = chosen[0]
            wider = {**app.at(function), "by": by, "remote_address": address, "kind": "grants"}
            wider |= {"action": "function:deploy", "resource": f"function:{app.name}/{function}"}
            yield at, "Denial", {**wider, "reason": "it would be granted more"}
            approved = {**app.at(function), "by": f"user:{app.people[0]}", "remote_address": OFFICE}
            approved |= {"added": ["egress api.partner.example:443"]}
            yield at + chance.uniform(600, 7200), "GrantsApproved", approved
        if chance.random() < 0.15:
            function = chosen[0]
            moved = {**app.at(function), "by": f"user:{app.people[0]}", "remote_address": OFFICE}
            moved |= {"alias": "live", "targets": [[app.versions[function], 1.0]]}
            yield at + chance.uniform(300, 1800), "AliasMoved", moved
    if app.name == "science" and chance.random() < 0.5:  # a developer with a loop
        at, function = day + chance.uniform(10, 16) * 3600, "train"
        for _ in range(chance.randrange(4, 12)):
            app.versions[function] += 1
            deployed = {**app.at(function), "by": "user:sue", "remote_address": "192.0.2.7"}
            yield at, "VersionDeployed", {**deployed, "digest": "d"}
            failing = chance.random() < 0.5
            outcome = "handler-error" if failing else "ok"
            yield at + 10, "InvocationEnded", {**app.at(function), "outcome": outcome}
            at += chance.uniform(40, 200)


def _upkeep(chance: random.Random, day: float, app: App) -> Iterator[Happening]:
    """Secrets are rotated, tokens made and revoked, people come and go, tables are looked into."""
    owner, at = f"user:{app.people[0]}", day + chance.uniform(9, 17) * 3600

    def performed(operation: str, action: str, effect: str = "change", **rest: str) -> Happening:
        fields = {"by": owner, "account": owner, "remote_address": OFFICE, "project": app.name}
        fields |= {"operation": operation, "effect": effect, "action": action, **rest}
        return at, "OperationPerformed", fields

    if chance.random() < 0.1:
        yield performed("putSecret", "secret:write", resource=f"secret:{app.name}/partner")
    if chance.random() < 0.06:
        yield performed("addToken", "token:write")
        yield performed("revokeToken", "token:write", "destroy")
    if chance.random() < 0.03 and len(app.people) > 1:
        yield performed("addUser", "account:write")
        yield performed("setUserRoles", "account:write")
    if chance.random() < 0.01:
        yield performed("resetUser", "account:write")
    for _ in range(chance.randrange(3)):
        yield performed("deleteObject", "bucket:delete", "destroy", resource=f"bucket:{app.name}/b")
    if chance.random() < 0.2:
        yield performed("redriveFunctionDeadLetters", "dead-letter:write")


def _calls(chance: random.Random, day: float, app: App, count: int) -> Iterator[Happening]:
    """Calls of a day, most of them by day; what their senders get wrong, and what breaks."""
    for _ in range(count):
        hour = min(max(chance.gauss(14, 4), 0), 23.9)
        at, function = day + hour * 3600, chance.choice(app.functions)
        caller = f"192.0.2.{chance.randrange(1, 250)}"
        dice = chance.random()
        if dice < 0.82:
            yield at, "InvocationEnded", {**app.at(function), "outcome": "ok"}
        elif dice < 0.93:
            grant, action, most = chance.choice(GRANTS[app.name])
            amount = 1 + int(chance.expovariate(1 / most))
            yield at, "GrantUsed", app.used(function, grant, action, amount)
        elif dice < 0.955:
            outcome = chance.choice(
                ("handler-error",) * 6 + ("timeout", "timeout", "out-of-memory")
            )
            yield at, "InvocationEnded", {**app.at(function), "outcome": outcome}
        elif dice < 0.97:
            reason = "/amount: a number is expected, a text came"
            broken = app.denied(function, "contract", "anonymous:public", caller, reason=reason)
            yield at, "Denial", broken
        elif dice < 0.98:
            dead = app.denied(
                function, "authentication", "anonymous:public", caller, reason=_NO_TOKEN
            )
            yield at, "Denial", dead
        elif dice < 0.985:
            cut = app.denied(
                function, "request", "anonymous:public", caller, reason="no valid JSON"
            )
            yield at, "Denial", cut
        elif dice < 0.99:
            full = app.denied(
                function, "load", "anonymous:public", caller, reason="the queue is full"
            )
            yield at, "Denial", {**full, "count": chance.randrange(1, 40)}
        else:
            yield at, "InvocationEnded", {**app.at(function), "outcome": "ok"}


GRANTS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "shop": (
        ("table orders", "put", 3),
        ("secret stripe", "read", 1),
        ("egress api.stripe.com:443", "connect", 2),
    ),
    "blog": (("table pages", "query", 4), ("bucket media", "read", 5)),
    "telemetry": (("table readings", "put", 60), ("queue alarms", "send", 2)),
    "images": (("bucket uploads", "read", 6), ("bucket thumbs", "write", 6)),
    "warehouse": (("table facts", "query", 40), ("egress db.partner.example:5432", "connect", 2)),
    "hooks": (("secret github", "read", 1), ("function notify", "invoke", 2)),
    "platform": (
        ("table state", "put", 5),
        ("function service3", "invoke", 4),
        ("secret key", "read", 1),
    ),
    "crm": (("table contacts", "query", 9), ("bucket exports", "write", 1)),
    "mobile": (("table sessions", "put", 8), ("egress push.example:443", "connect", 6)),
    "science": (("bucket models", "read", 3), ("egress pypi-mirror.example:443", "connect", 1)),
}


def _bursts(chance: random.Random, day: float) -> Iterator[Happening]:
    """What happens on some days alone: each of it by mistake, by a machine, or on purpose."""
    shop, telemetry, images, warehouse, hooks, mobile = (APPS[n] for n in (0, 2, 3, 4, 5, 8))
    # Each night: a job that reads a table through and writes it elsewhere, one that deletes.
    at = day + 2 * 3600
    for step in range(60):
        read = warehouse.used("extract", "table facts", "query", chance.randrange(300, 700))
        yield at + step * 10, "GrantUsed", read
        write = warehouse.used("load", "bucket archive", "write", chance.randrange(20, 60))
        yield at + step * 10 + 5, "GrantUsed", write
    for step in range(10):
        gone = images.used("expire", "bucket uploads", "delete", chance.randrange(20, 60))
        yield day + 3 * 3600 + step * 30, "GrantUsed", gone
    if chance.random() < 0.3:  # a dependency telephones home, and may not
        app = chance.choice(APPS)
        by = f"function:{app.name}/{app.functions[0]}"
        at = day + chance.uniform(8, 18) * 3600
        for step in range(chance.randrange(3, 30)):
            lost = app.denied(
                app.functions[0], "egress", by, "", action="egress:connect",
                resource="host:telemetry.vendor.example:443", reason="not granted",
            )  # fmt: skip
            yield at + step * 60, "Denial", lost
    if chance.random() < 0.2:  # a campaign: more than there is room for, from everywhere
        at = day + 19 * 3600
        for step in range(120):
            address = f"192.0.2.{chance.randrange(1, 250)}"
            full = shop.denied(
                "search", "load", "anonymous:public", address, reason="the queue is full"
            )
            yield at + step, "Denial", {**full, "count": chance.randrange(1, 4)}
    if chance.random() < 0.15:  # a bad release: it fails until it is rolled back
        app = chance.choice(APPS)
        function, at = app.functions[0], day + chance.uniform(10, 16) * 3600
        app.versions[function] += 1
        made = {**app.at(function), "by": f"token:deploy-{app.name}", "remote_address": _RUNNERS[0]}
        yield at, "VersionDeployed", {**made, "digest": "d"}
        for step in range(chance.randrange(10, 90)):
            yield (
                at + 5 + step * 4,
                "InvocationEnded",
                {**app.at(function), "outcome": "handler-error"},
            )
    if chance.random() < 0.2:  # a device with a broken clock sends an old token each minute
        at = day + chance.uniform(0, 10) * 3600
        for step in range(chance.randrange(20, 200)):
            old = telemetry.denied(
                "ingest", "authentication", "anonymous:public", "192.0.2.77", reason=_NO_TOKEN
            )
            yield at + step * 60, "Denial", old
    if chance.random() < 0.2:  # a sender repeats deliveries after a time-out of its own
        at = day + chance.uniform(0, 20) * 3600
        for step in range(chance.randrange(2, 12)):
            again = hooks.denied(
                "github", "request", "trigger:hooks/github/github", "140.82.112.3",
                reason="a repeated delivery",
            )  # fmt: skip
            yield at + step * 20, "Denial", again
    if chance.random() < 0.05:  # a secret was rotated on one side first
        at = day + chance.uniform(9, 17) * 3600
        for step in range(chance.randrange(2, 9)):
            forged = hooks.denied(
                "stripe", "authentication", "anonymous:public", "3.18.12.63",
                reason="a wrong signature or token for stripe",
            )  # fmt: skip
            yield at + step * 30, "Denial", forged
    if chance.random() < 0.3:  # phones change their networks with the same token
        at = day + chance.uniform(7, 20) * 3600
        for step in range(4):
            lost = mobile.denied(
                "session", "contract", "token:app", f"192.0.2.{100 + step}",
                reason="/device: is missing",
            )  # fmt: skip
            yield at + step * 900, "Denial", lost
    if chance.random() < 0.04:  # the node is updated
        yield day + 22 * 3600, "RiskAccepted", {"risk": "plaintext"}


def happenings(days: int, a_day: int, seed: int = 20261127) -> Iterator[Happening]:
    """Yield what happens in so many days, in order; calls are made up to `a_day` in each."""
    chance = random.Random(seed)
    for app in APPS:
        app.versions = dict.fromkeys(app.functions, 1)
    for number in range(days):
        day = MIDNIGHT + number * DAY
        working = number % 7 < 5
        found: list[Happening] = list(_bursts(chance, day))
        for app in APPS:
            if working:
                for part in (_morning, _releases, _upkeep):
                    found += part(chance, day, app)
        least = -(-max(0, a_day - len(found)) // len(APPS))
        for app in APPS:
            found += _calls(chance, day, app, least)
        found.sort(key=lambda happening: happening[0])
        yield from found


def events(days: int, a_day: int, seed: int = 20261127) -> Iterator[dict[str, Any]]:
    """Yield the events that a journal has of it."""
    for number, (at, kind, fields) in enumerate(happenings(days, a_day, seed)):
        yield event_of(kind, fields, at, f"boot-{number}")
