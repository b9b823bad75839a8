"""Which functions are called from outside, and which parameters somebody outside chooses."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from casemate.audit.flow import dependencies, models
from casemate.audit.flow.library import sources
from casemate.audit.flow.ports import Arguments, Pending, Reader
from casemate.audit.flow.results import Entry
from casemate.audit.flow.state import Class, Instance, Scope, State
from casemate.audit.flow.values import (
    ANYTHING,
    CLEAN,
    Bound,
    External,
    Func,
    Ref,
    Unknown,
    Value,
    options,
)
from casemate.audit.syntax import walk

Definition = ast.FunctionDef | ast.AsyncFunctionDef
_ROUTES = frozenset(
    (
        *("route", "get", "post", "put", "delete", "patch", "head", "options", "websocket"),
        *("api_route", "websocket_route", "lambda_function", "resolver", "endpoint", "view"),
        *("errorhandler", "before_request", "app_errorhandler", "exception_handler"),
    )
)
"""Decorators of applications that make a function a route."""
_EVENTS = {
    "on_sqs_message": "queue",
    "on_sns_message": "topic",
    "on_s3_event": "storage",
    "on_kinesis_record": "stream",
    "on_dynamodb_record": "table",
    "on_cw_event": "topic",
    "on_ws_message": "http",
    "on_ws_connect": "http",
    "schedule": "schedule",
    "on_message": "queue",
    "task": "queue",
    "cloud_event": "topic",
    "http": "http",
    "on_request": "http",
    "on_call": "http",
    "on_message_published": "topic",
    "on_object_finalized": "storage",
    "on_document_written": "table",
    "on_document_created": "table",
}
"""Decorators of serverless frameworks."""
_ALWAYS = frozenset(
    (
        *("route", "api_route", "lambda_function", "resolver", "websocket", "view"),
        *("errorhandler", "before_request", "app_errorhandler", "exception_handler"),
    )
)
"""Those that are routes whatever they are given."""
_VIEWS = frozenset(
    ("api_view", "require_http_methods", "require_GET", "require_POST", "csrf_exempt")
)
_ADDERS = frozenset(
    (
        *("add_url_rule", "add_api_route", "add_route", "add_get", "add_post", "add_put", "Route"),
        *("add_delete", "add_websocket_route", "path", "re_path", "url", "add_resource"),
    )
)
"""Calls that make a function a route."""
_REQUEST_NAMES = frozenset(("request", "req", "http_request", "websocket", "_request"))
_NOT_DATA = frozenset(
    (
        "self",
        "cls",
        "call_next",  # of Starlette: what comes after a middleware
        "context",
        "ctx",
        "db",
        "session",
        "response",
        "resp",
        "_",
        "e",
        "err",
        "error",
        "exc",
    )
)
_CLEAN_TYPES = frozenset(
    (
        *("int", "float", "bool", "UUID", "uuid.UUID", "date", "datetime", "Decimal", "Response"),
        *("BackgroundTasks", "Session", "AsyncSession", "fastapi.Response", "datetime.date"),
        *("datetime.datetime", "LambdaContext", "Context"),
    )
)
_TEXT_TYPES = frozenset(
    (
        *("str", "int", "float", "bool", "bytes", "Decimal", "date", "datetime", "EmailStr"),
        *("UUID", "UUID1", "UUID3", "UUID4", "UUID5", "HttpUrl", "AnyUrl", "NameEmail"),
        "SecretStr",
    )
)
_CONVERTERS = ("<int:", "<float:", "<uuid:")
_VERBS = frozenset(("get", "post", "put", "delete", "patch", "on_get", "on_post", "on_put"))
_HANDLERS = (
    *("RequestHandler", "View", "MethodView", "Resource", "APIView", "HTTPEndpoint"),
    *("ViewSet", "BaseHTTPRequestHandler", "HTTPMethodView", "TemplateView", "ModelViewSet"),
)


def routed(
    reader: Reader, decorator: ast.expr, value: Value, node: Definition, state: State
) -> Pending | None:
    """Return the entry that a decorator makes of a function, if it makes one."""
    call = decorator if isinstance(decorator, ast.Call) else None
    target = call.func if call is not None else decorator
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    is_method = isinstance(target, ast.Attribute)
    pattern = _pattern(reader, call, state)
    if name in _EVENTS and is_method and (name not in ("http", "task") or _is_cloud(target)):
        shape = "cloud-http" if name in ("http", "on_request", "on_call") else "lambda"
        return _pending(reader, value, node, _EVENTS[name], shape, "")
    if (
        name in _ROUTES
        and is_method
        and call is not None
        and _is_route(reader, target, pattern, state)
    ):
        pending = _pending(reader, value, node, "http", "route", pattern or "")
        pending.html = _answers_pages(reader, target, call, state)
        pending.shown = not _asked_by_scripts(name, call)
        pending.decorator = ast.unparse(target)
        pending.before = _before(call)
        return pending
    if name == "before_request" and is_method and call is None:
        pending = _pending(reader, value, node, "http", "route", "")
        pending.decorator = ast.unparse(target)
        return pending
    if name == "middleware" and is_method:
        return _middleware(_pending(reader, value, node, "http", "route", ""))
    if name in _VIEWS and not reader.frame.owner:
        return _pending(reader, value, node, "http", "view", "")
    return None


def _middleware(pending: Pending) -> Pending:
    pending.html, pending.is_middleware = False, True
    return pending


def _is_cloud(target: ast.expr) -> bool:
    return "functions_framework" in ast.unparse(target) or not ast.unparse(target).endswith(".http")


def _pattern(reader: Reader, call: ast.Call | None, state: State) -> str | None:
    """Return the path of a route; None if there is none."""
    if call is None:
        return None
    given = [*call.args[:1], *(k.value for k in call.keywords if k.arg in ("path", "rule", "uri"))]
    for each in given:
        value = reader.evaluate(each, state)
        text = getattr(value, "value", None)
        if isinstance(text, str):
            return text
    return None


def _is_route(reader: Reader, target: ast.expr, pattern: str | None, state: State) -> bool:
    name = target.attr if isinstance(target, ast.Attribute) else ""
    if name in _ALWAYS:
        return True
    return pattern is not None and (pattern.startswith(("/", "^")) or pattern == "")


def _before(call: ast.Call) -> tuple[ast.Call, ...]:
    """Return what a route depends on beside its parameters: `dependencies=[Depends(f)]`."""
    listed = next((each.value for each in call.keywords if each.arg == "dependencies"), None)
    items = listed.elts if isinstance(listed, (ast.List, ast.Tuple)) else []
    return tuple(each for each in items if isinstance(each, ast.Call))


_OF_SCRIPTS = frozenset(("put", "patch", "delete"))


def _asked_by_scripts(name: str, call: ast.Call) -> bool:
    """Tell whether a route takes only methods that no link and no form asks with."""
    if name in _OF_SCRIPTS:
        return True
    listed = next((each.value for each in call.keywords if each.arg == "methods"), None)
    words = listed.elts if isinstance(listed, (ast.List, ast.Tuple, ast.Set)) else []
    return bool(words) and all(
        isinstance(each, ast.Constant) and str(each.value).lower() in _OF_SCRIPTS for each in words
    )


def _answers_pages(reader: Reader, target: ast.expr, call: ast.Call, state: State) -> bool:
    """Return whether a text that a route returns is a page, not JSON."""
    owner = reader.evaluate(target.value, state) if isinstance(target, ast.Attribute) else ANYTHING
    kind = ""
    for option in options(owner):
        thing = state.things.get(option.number) if isinstance(option, Ref) else option
        kind = kind or getattr(thing, "type", "") or getattr(thing, "name", "")
    for each in call.keywords:
        if each.arg == "response_class":
            return "HTML" in ast.unparse(each.value)
    return not any(each in kind.lower() for each in _JSON_ONLY)


_JSON_ONLY = ("fastapi", "chalice", "powertools", "apigateway", "ninja", "flask_restful")


def _pending(
    reader: Reader, value: Value, node: Definition, event: str, shape: str, pattern: str
) -> Pending:
    entry = Entry(path=reader.frame.path, name=node.name, event=event, shape=shape)
    return Pending(value, entry, pattern)


def class_made(
    reader: Reader, node: ast.ClassDef, made: Ref, bases: tuple[Value, ...], state: State
) -> None:
    """Take the methods of a class whose library calls them for requests."""
    if not _is_called(node):
        return
    before, names = _before_views(node), _bases(node)
    thing = state.things.get(made.number)
    scope = state.things.get(thing.scope) if isinstance(thing, Class) else None
    if not isinstance(scope, Scope):
        return
    instance = reader.new(Instance(made.number, {}, ""), state)
    for name, value in scope.names.items():
        verb = name in _VERBS or name.startswith("do_") or name in ("list", "create", "retrieve")
        if not (name in before or verb) or not isinstance(value, Func):
            continue
        if not isinstance(value.node, Definition):
            continue
        pending = _pending(reader, Bound(value, (instance,)), value.node, "http", "route", "")
        if name in before:
            reader.found(_middleware(pending))
        else:
            pending.html = not any("Resource" in each or "API" in each for each in names)
            reader.found(pending)


def _bases(node: ast.ClassDef) -> list[str]:
    """Return the last names of what a class is made of."""
    return [ast.unparse(base).rpartition(".")[2] for base in node.bases]


def _before_views(node: ast.ClassDef) -> frozenset[str]:
    """Return the methods of a class that frameworks call before routes, as those of Django."""
    made = next((e for e in node.body if getattr(e, "name", "") == "__init__"), None)
    given = [each.arg for each in made.args.args] if isinstance(made, Definition) else []
    names = _bases(node)
    if "get_response" in given or any(name.endswith("MiddlewareMixin") for name in names):
        return frozenset(("__call__", "process_request", "process_view"))
    if any(name.endswith("HTTPMiddleware") for name in names):
        return frozenset(("dispatch",))
    return frozenset()


def adds(name: str) -> bool:
    """Return whether a call makes functions routes."""
    return name.rpartition(".")[2] in _ADDERS


def added(reader: Reader, name: str, given: Arguments, state: State) -> None:
    """Take a function that a call makes a route: `path("x/", views.x)`."""
    if not adds(name):
        return
    pattern = getattr(given.get(0), "value", None)
    view = "django" in name
    for value in given.all():
        for option in options(value):
            inner = option.function if isinstance(option, Bound) else option
            if isinstance(inner, Func) and isinstance(inner.node, Definition):
                shape = "view" if view else "route"
                pending = _pending(reader, option, inner.node, "http", shape, "")
                pending.entry = Entry(
                    path=reader.path_of(inner.module), name=inner.name, event="http", shape=shape
                )
                if isinstance(pattern, str) and not view:
                    pending.pattern = pattern
                reader.found(pending)


# -- what an entry is given ------------------------------------------------------------------------


def arguments(
    reader: Reader, pending: Pending, function: Func, bound: int, state: State
) -> Arguments:
    """Return what a function is called with: outside data where it is somebody's choice."""
    parameters = function.node.args
    names = [*parameters.posonlyargs, *parameters.args][bound:]
    shape, entry = pending.entry.shape, pending.entry
    out = Arguments()
    if shape == "main":
        return out
    if shape == "knative":
        out.places += [Unknown(CLEAN, "knative.Context", each.arg) for each in names[:1]]
        return out
    if shape == "asgi":  # the scope, what receives the body, and what sends the answer
        out.places += [sources.begin(reader, "http", each.arg, each) for each in names[:2]]
        return out
    if shape in ("lambda", "casemate", "cloud-event"):
        for number, each in enumerate(names[:2]):
            out.places.append(_event(reader, entry, each, number))
        return out
    for call in pending.before:
        _depended(reader, pending, call, None, state)
    for number, each in enumerate(names):
        is_first = number == 0 and shape in ("view", "cloud-http")
        if is_first or each.arg in _REQUEST_NAMES or _is_request(each):
            out.places.append(Unknown(CLEAN, "request", each.arg))
        elif shape == "cloud-http":
            out.places.append(ANYTHING)
        else:
            out.places.append(_parameter(reader, pending, parameters, each, state))
    for each in parameters.kwonlyargs:
        out.named[each.arg] = _parameter(reader, pending, parameters, each, state)
    if parameters.kwarg is not None and shape == "graph":
        out.rest = sources.begin(reader, entry.event, parameters.kwarg.arg, parameters.kwarg)
    return out


def _event(reader: Reader, entry: Entry, parameter: ast.arg, number: int) -> Value:
    if number == 0 and not sources.is_trusted(entry.event):
        return sources.begin(reader, entry.event, parameter.arg, parameter)
    if number == 1 and entry.shape == "casemate":
        return Unknown(CLEAN, "casemate.Context")
    return Unknown(CLEAN, "context" if number else "")


def _is_request(parameter: ast.arg) -> bool:
    return _named(parameter) in ("Request", "HttpRequest", "WebSocket")


def _parameter(
    reader: Reader,
    pending: Pending,
    parameters: ast.arguments,
    parameter: ast.arg,
    state: State,
) -> Value:
    """Return what a parameter of a route may be: a part of its path, of its query, its body."""
    name = parameter.arg
    kind = ast.unparse(parameter.annotation).strip("'\"") if parameter.annotation else ""
    kind = kind.removesuffix(" | None").removeprefix("Optional[").removesuffix("]")
    if name in _NOT_DATA or kind in _CLEAN_TYPES:
        return ANYTHING
    depended = dependencies.dependency_of(parameters, parameter)
    if depended is not None:
        return _depended(reader, pending, depended, parameter.annotation, state)
    alias = reader.alias(kind) if kind.isidentifier() else None
    if alias is not None:
        depended = dependencies.within(alias[1])
        if depended is not None:
            with dependencies.in_module(reader, alias[0], state):
                return _depended(reader, pending, depended, alias[1], state)
    converted = dependencies.converter(reader.patterns(pending.entry.name), name)
    if converted in ("int", "uuid") and pending.entry.shape == "view":
        return Unknown(CLEAN, "int")
    if any(f"{each}{name}>" in pending.pattern for each in _CONVERTERS):
        return Unknown(CLEAN, "int")
    if f"{{{name}:int}}" in pending.pattern or kind.startswith(("Literal", "Annotated[int")):
        return Unknown(CLEAN, "int")
    if kind.isidentifier() and _is_enumeration(reader, kind, state, parameter):
        return Unknown(CLEAN, "enum.Enum")
    if is_text(kind) or f"{{{name}}}" in pending.pattern or f"<{name}>" in pending.pattern:
        reader.texts.add(name)
    elif kind.isidentifier():
        made = reader.load(kind, state, parameter)
        model = state.things.get(made.number) if isinstance(made, Ref) else None
        if isinstance(model, Class):
            reader.texts |= {f"{name}.{field}" for field in model.texts}
            reader.narrow.update(models.limited(made, name, state))
    value = sources.begin(reader, pending.entry.event, name, parameter)
    dependencies.limited(parameters, parameter, value, state)
    return dependencies.words(value, state) if converted == "slug" else value


def _is_enumeration(reader: Reader, kind: str, state: State, parameter: ast.arg) -> bool:
    """Return whether a type has a few members only: anything else is refused."""
    made = reader.load(kind, state, parameter)
    model = state.things.get(made.number) if isinstance(made, Ref) else None
    return isinstance(model, Class) and any(
        isinstance(option, External) and option.name.startswith("enum.")
        for base in model.bases
        for option in options(base)
    )


def _depended(
    reader: Reader,
    pending: Pending,
    call: ast.Call,
    annotation: ast.expr | None,
    state: State,
) -> Value:
    """Return what a framework makes of a function or class for a parameter."""

    def given(parameters: ast.arguments, parameter: ast.arg) -> Value:
        if parameter.arg in _REQUEST_NAMES or _is_request(parameter):
            return Unknown(CLEAN, "request", parameter.arg)
        return _parameter(reader, pending, parameters, parameter, state)

    return dependencies.made(reader, call, annotation, state, given)


def is_text(annotation: str) -> bool:
    """Return whether a framework that looks at types lets texts and numbers in alone."""
    plain = annotation.strip("'\"")
    for before in ("Annotated[", "Optional[", "list[", "List[", "typing.Optional["):
        if plain.startswith(before):
            plain = plain.removeprefix(before).removesuffix("]").partition(",")[0]
    plain = plain.removesuffix(" | None").strip("'\"").rpartition(".")[2]
    return plain in _TEXT_TYPES or plain.startswith("constr(")


# -- finding entries -------------------------------------------------------------------------------

_TELLING = ("lambda_handler", "handler")


def discover(trees: Mapping[str, ast.Module], paths: Mapping[str, str]) -> list[Entry]:
    """Return the entries that files show by themselves: handlers, routes, views, by module."""
    found: list[Entry] = []
    for module, tree in trees.items():
        path = paths[module]
        for node in tree.body:
            if isinstance(node, Definition):
                found += _of_function(path, node)
            elif isinstance(node, ast.ClassDef) and _is_called(node):
                found.append(Entry(path=path, name=node.name, event="http", shape="route"))
            elif isinstance(node, ast.ClassDef):
                found += _of_knative(path, node)
            elif isinstance(node, (ast.Expr, ast.Assign)) and _adds(node):
                found.append(Entry(path=path, name="", event="http", shape="route"))
    return found


def _of_function(path: str, node: Definition) -> list[Entry]:
    if any(_marks(each) for each in node.decorator_list):
        return [Entry(path=path, name=node.name, event="http", shape="route")]
    inner = [each for each in _inner(node) if any(_marks(d) for d in each.decorator_list)]
    if inner:
        return [Entry(path=path, name=f"{node.name}.{e.name}", shape="route") for e in inner]
    first = [each.arg for each in node.args.args[:2]]
    # What takes more, as `send(event, context, status)` of answers to CloudFormation, is called.
    more = len(node.args.args) - len(node.args.defaults) > 2
    if node.name in _TELLING or (
        not more and first in (["event", "context"], ["event", "ctx"], ["evt", "context"])
    ):
        return [Entry(path=path, name=node.name, event="http", shape="lambda")]
    if node.name == "main" and _is_context(node) and path.rpartition("/")[2] == "func.py":
        return [Entry(path=path, name=node.name, event="http", shape="knative")]
    if first[:1] == ["request"] and path.rpartition("/")[2] in ("views.py", "main.py", "view.py"):
        return [Entry(path=path, name=node.name, event="http", shape="view")]
    return []


def _is_context(node: Definition) -> bool:
    """Return whether a function takes the context that Knative gives to functions of Python."""
    first = node.args.args[:1]
    return bool(first) and (first[0].arg == "context" or _named(first[0]) == "Context")


def _named(parameter: ast.arg) -> str:
    if parameter.annotation is None:
        return ""
    return ast.unparse(parameter.annotation).rpartition(".")[2].strip("'\"")


def _of_knative(path: str, node: ast.ClassDef) -> list[Entry]:
    """Return the entry that a class of Knative's functions is: an application of ASGI."""
    return [
        Entry(path=path, name=f"{node.name}.{each.name}", event="http", shape="asgi")
        for each in node.body
        if isinstance(each, ast.AsyncFunctionDef)
        and each.name in ("handle", "__call__")
        and [arg.arg for arg in each.args.args][1:] == ["scope", "receive", "send"]
    ]


def _inner(node: Definition) -> list[Definition]:
    """Return the functions that stand in a function; expressions have none."""
    waiting: list[ast.AST] = [node]
    for each in waiting:  # which grows meanwhile
        for name in ("body", "handlers", "orelse", "finalbody", "cases"):
            below = getattr(each, name, ())
            waiting += below if isinstance(below, list) else ()
    return [each for each in waiting[1:] if isinstance(each, Definition)]


def _marks(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    if not isinstance(target, ast.Attribute):
        return isinstance(target, ast.Name) and target.id in _VIEWS
    if target.attr in _EVENTS or target.attr in (
        "route",
        "api_route",
        "lambda_function",
        "errorhandler",
        "middleware",
    ):
        return True
    first = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    return target.attr in _ROUTES and isinstance(text, str) and text.startswith("/")


def _is_handler_class(node: ast.ClassDef) -> bool:
    return any(name.endswith(_HANDLERS) for name in _bases(node))


def _is_called(node: ast.ClassDef) -> bool:
    return _is_handler_class(node) or bool(_before_views(node))


def _adds(node: ast.stmt) -> bool:
    return any(
        isinstance(each, ast.Call)
        and getattr(each.func, "attr", getattr(each.func, "id", "")) in _ADDERS
        for each in walk(node)
    )
