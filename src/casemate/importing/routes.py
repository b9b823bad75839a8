"""Routes: paths and methods of an API as a manifest has them, closed unless somebody accepts it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from casemate.audit.model import Application, Function, Platform, Reach, Trigger
from casemate.importing.limits import MAX_ROUTES
from casemate.importing.names import plain
from casemate.importing.outcome import Notes
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.routes import METHODS, Shape, parse_template
from casemate.model.route import is_reserved

_GREEDY = re.compile(r"\{([A-Za-z0-9_.-]{1,100})\+\}")
_PARAMETER = re.compile(r"\{([^{}/]{1,100})\}")
_PLAIN = METHODS[:-1]


@dataclass
class Route:
    """One route of one function."""

    function: str
    method: str
    path: str
    trigger: Trigger


@dataclass
class Routing:
    """All routes of the project: no two functions answer the same request."""

    application: Application
    notes: Notes
    project: str
    routes: list[Route] = field(default_factory=list)

    def add(self, function: Function, name: str) -> None:
        """Take the routes of a function."""
        for trigger in function.triggers:
            if trigger.kind == "url":
                self._moved(function, name, trigger, "")
            elif trigger.kind == "http":
                wanted = _path(trigger.path)
                if trigger.path == "$default":
                    self._put(function, name, trigger, "/", trigger.method)
                if function.platform is Platform.OPENFAAS:
                    self._put(function, name, trigger, wanted, "*")
                    self._put(function, name, trigger, wanted + "/{rest...}", "*")
                elif is_reserved(wanted):
                    self._moved(function, name, trigger, wanted)
                else:
                    self._put(function, name, trigger, wanted, trigger.method)
                self._guarded(function, trigger)

    def _moved(self, function: Function, name: str, trigger: Trigger, path: str) -> None:
        """Put a route elsewhere: the node answers there itself, or it had a host of its own."""
        start = f"/{self.project}" if path else f"/{name}"
        self.notes.leave(
            trigger.place,
            f"{function.name}: {path or 'the address of its own'} is at {start}{path} now",
            "the node answers /api, /health and their like itself, and has one host: change "
            "callers, and what the handler makes of the path",
        )
        self._put(function, name, trigger, start + path, trigger.method or "ANY")
        if not path:
            self._put(function, name, trigger, f"{start}/{{proxy...}}", "ANY")

    def _guarded(self, function: Function, trigger: Trigger) -> None:
        if trigger.reach is Reach.AUTHENTICATED and trigger.how:
            self.notes.leave(
                trigger.place,
                f"{function.name}: callers showed {trigger.how}; the authorizer has no counterpart",
                "callers show a token (`casemate tokens`) or log in with OIDC "
                "(docs/howto/log-in-with-oidc.md)",
            )

    def _put(self, function: Function, name: str, trigger: Trigger, path: str, method: str) -> None:
        method = {"ANY": "*", "": "*", "X-AMAZON-APIGATEWAY-ANY-METHOD": "*"}.get(
            method.upper(), method.upper()
        )
        try:
            if method not in METHODS:
                raise RejectedValueError("a method of " + ", ".join(METHODS), repr(method[:40]))
            parse_template(path)
        except RejectedValueError as error:
            self.notes.leave(
                trigger.place,
                f"{function.name}: the route {method} {path} cannot be one here: expected "
                f"{error.expected}",
                "add it to casemate.toml in another form",
                blocking=True,
            )
            return
        self.routes.append(Route(name, method, path, trigger))

    def settled(self) -> dict[str, list[dict[str, str]]]:
        """Return the routes of each function. `*` beside others of its shape is what they leave."""
        taken: dict[tuple[Shape, str], tuple[str, bool]] = {}
        made: dict[str, list[dict[str, str]]] = {}
        given: set[tuple[Shape, str]] = set()
        single = {parse_template(each.path) for each in self.routes if each.method != "*"}
        for route in sorted(self.routes, key=lambda each: each.method == "*"):
            shape = parse_template(route.path)
            wide = route.method == "*"
            for method in _PLAIN if wide and shape in single else (route.method,):
                owner, by_name = taken.setdefault((shape, method), (route.function, not wide))
                routes = made.setdefault(route.function, [])
                entry = {"method": method, "path": route.path}
                if owner == route.function:
                    if (shape, method) not in given:
                        given.add((shape, method))
                        routes.append(entry)
                elif not (wide and by_name):
                    self._taken(route, owner, method)
        for name, routes in made.items():
            if len(routes) > MAX_ROUTES:
                place = next(each.trigger.place for each in self.routes if each.function == name)
                what = f"{name} has more than {MAX_ROUTES} routes: the rest is left out"
                self.notes.leave(place, what, "split it, or use {rest...}", blocking=True)
        return {name: routes[:MAX_ROUTES] for name, routes in made.items()}

    def _taken(self, route: Route, owner: str, method: str) -> None:
        self.notes.leave(
            route.trigger.place,
            f"{route.function}: {owner} answers {method} {route.path} already",
            "give one of the two another path in casemate.toml",
            blocking=True,
        )


def _path(path: str) -> str:
    """Return a path as a manifest writes it: `{proxy...}` for `{proxy+}`."""
    if path in ("$default", "*"):
        return "/{proxy...}"
    made = _GREEDY.sub(lambda found: "{" + _word(found[1]) + "...}", "/" + path.strip("/"))
    return _PARAMETER.sub(
        lambda found: found[0] if found[1].endswith("...") else "{" + _word(found[1]) + "}", made
    )


def _word(name: str) -> str:
    word = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return word if word[:1].isalpha() or word[:1] == "_" else f"_{word}"


def event_format(function: Function, application: Application) -> tuple[str, bool]:
    """Return the shape of a function's events, and whether all its routes have that."""
    apis = {asset.name: asset for asset in application.of_kind("api")}
    forms = set()
    for trigger in function.triggers:
        if trigger.how == "load balancer":
            forms.add("aws-alb")
        elif trigger.kind == "http":
            api = apis.get(trigger.source)
            modern = api is not None and bool(api.settings.get("http"))
            version = str(trigger.settings.get("PayloadFormatVersion") or "2.0")
            forms.add("aws" if modern and version.startswith("2") else "aws-rest")
        elif trigger.kind == "url":
            forms.add("aws")
    return (min(forms) if forms else "aws"), len(forms) <= 1


def own_name(text: str) -> str:
    """Return the name of a project that an application's is made into."""
    return plain(text, "imported")
