"""The HTTP trigger: requests to `/invoke/...` and to declared routes become raw invocations."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl, unquote

from casemate.admission import Authenticator, Catalogue
from casemate.admission.routes import Match
from casemate.delivery.wish import NOTHING, Wish, read_wish
from casemate.invocation.cloudevents import STRUCTURED, answered, media_type_of
from casemate.invocation.rendering import function_source
from casemate.invocation.unfinished import refused
from casemate.model.denial import Denial, DenialKind
from casemate.model.function import NAME_PATTERN, Cors
from casemate.model.http import HttpHead, HttpRequest, HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Failure, Finished, RawInvocation, RefusedError
from casemate.model.principal import ANONYMOUS, Action, Principal
from casemate.model.route import host_of
from casemate.seal import Seal
from casemate.triggers.cors import asked_method, preflight, shared
from casemate.triggers.origin import confined, is_script_for_all

Take = Callable[[RawInvocation, Wish], Awaitable[HttpResponse]]
INVOKE_PREFIX = "/invoke/"
API_PREFIX = "/api/"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_UNKNOWN_BODY_LIMIT = 64 * 1024
_API_LIMIT = 1024 * 1024
_API_LIMITS = {
    "/api/v1/bundles/": 512 * 1024 * 1024,
    "/api/v1/buckets/": 64 * 1024 * 1024,
}
"""Bytes that a body may have where it may have more than others of the control API."""
_MAX_QUERY_FIELDS = 256
_TEXT_TYPES = frozenset(
    (
        "application/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/javascript",
    )
)
_NAME = re.compile(NAME_PATTERN.removesuffix("$"))
_HIDDEN = frozenset((b"authorization", b"proxy-authorization"))
"""The platform's own credentials: a function has no use for its caller's key."""


def split_invoke_path(path: str) -> tuple[str, str, str | None] | None:
    """Return project, function and qualifier of `/invoke/<project>/<function>[@qualifier]`."""
    parts = path[len(INVOKE_PREFIX) :].split("/")
    if len(parts) != 2:
        return None
    function, at, qualifier = parts[1].partition("@")
    if not (_is_name(parts[0]) and _is_name(function)):
        return None
    if at and not (_is_name(qualifier) or (qualifier.isascii() and qualifier.isdigit())):
        return None
    return parts[0], function, qualifier or None


def is_text(content_type: str) -> bool:
    """Tell whether a media type's body is handed over as text when it is valid UTF-8."""
    media_type = content_type.partition(";")[0].strip().lower()
    return (
        media_type.startswith("text/")
        or media_type in _TEXT_TYPES
        or media_type.endswith(("+json", "+xml"))
    )


def _body(request: HttpRequest, content_type: str) -> tuple[str | None, bool]:
    if not request.body:
        return None, False
    if is_text(content_type):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass  # what is not the text it claims to be is handed over as bytes
    return base64.b64encode(request.body).decode(), True


def http_event(
    request: HttpRequest, template: str, parameters: dict[str, str]
) -> dict[str, object]:
    """Return the event of an HTTP trigger. Raises ValueError for a query with too many fields."""
    head = request.head
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        if raw_name in _HIDDEN:
            continue
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    query: dict[str, list[str]] = {}
    fields = parse_qsl(head.query, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS)
    for name, value in fields:
        query.setdefault(name, []).append(value)
    body, is_base64 = _body(request, headers.get("content-type", ""))
    return {
        "method": head.method,
        "path": head.path,
        "route": template,
        "path_parameters": parameters,
        "query": query,
        "headers": headers,
        "body": body,
        "is_base64": is_base64,
        "remote_address": head.peer,
    }


class HttpTrigger:
    """Sends each request to the control API, to a function, or away."""

    def __init__(
        self,
        catalogue: Catalogue,
        accounts: Authenticator,
        seal: Seal,
        deny: Callable[[Denial], None],
        take: Take,
        api: Callable[[HttpRequest], Awaitable[HttpResponse]],
    ) -> None:
        """Look functions up in `catalogue`, hand calls to `take`.

        Requests that lead nowhere are closed by `seal`.

        Those without a valid token, or of who may not know, go to `deny` as well.
        """
        self._catalogue = catalogue
        self._accounts = accounts
        self._seal = seal
        self._deny = deny
        self._take = take
        self._api = api

    def body_limit(self, head: HttpHead) -> int:
        """Return the bytes a body may have. Callers without a key are given little to send."""
        path = head.path
        if path.startswith(API_PREFIX):
            if self._accounts.authenticate(_credential(head)) is None:
                return _UNKNOWN_BODY_LIMIT
            return next((b for p, b in _API_LIMITS.items() if path.startswith(p)), _API_LIMIT)
        if path.startswith(INVOKE_PREFIX):
            names = split_invoke_path(path)
            version = self._catalogue.find(*names) if names else None
        else:
            host = host_of(head.header(b"host"))
            match = self._catalogue.route(head.method, path, host)
            if match is None or isinstance(match, frozenset):
                return _UNKNOWN_BODY_LIMIT
            version = self._catalogue.find(match.route.project, match.route.function)
        if version is None:
            return _UNKNOWN_BODY_LIMIT
        closure = self._catalogue.closure(version.project, version.function, version)
        if not closure.public and self._accounts.authenticate(_credential(head)) is None:
            return _UNKNOWN_BODY_LIMIT
        return version.spec.limits.request

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        path = request.head.path
        if path.startswith(INVOKE_PREFIX):
            return await self._handle_invoke(request)
        if path.startswith(API_PREFIX):
            return await self._api(request)
        return await self._handle_route(request)

    async def _handle_invoke(self, request: HttpRequest) -> HttpResponse:
        head = request.head
        names = split_invoke_path(head.path)
        if names is None:
            return self.lead_nowhere(request)
        if head.method != "POST":
            detail = "Functions are invoked with POST."
            return self._lead_nowhere(request, Outcome.INVALID, 405, detail, allow=b"POST")
        content_type = head.header(b"content-type")
        raw = RawInvocation(
            trigger="invoke",
            project=names[0],
            function=names[1],
            qualifier=names[2],
            credential=_credential(head),
            content_type=content_type.decode("latin-1") if content_type else "",
            body=request.body,
            attributes=_attributes(head),
            received_at=time.time(),
            remote_address=head.peer,
        )
        return await self._call(raw, request, later=False)

    async def _call(self, raw: RawInvocation, request: HttpRequest, *, later: bool) -> HttpResponse:
        try:
            wish = read_wish(request.head, later=later)
        except RefusedError as refusal:
            if self._may_know(raw):
                return self._seal.close(refused(raw, None, None, refusal))
            wish = NOTHING  # refused for what it lacks, which tells nothing of the function
        response = self._confined(await self._take(raw, wish), raw, request)
        if not wish.later and _accepts_cloud_event(request.head):
            return answered(response, function_source(raw.project, raw.function))
        return response

    def _confined(
        self, response: HttpResponse, raw: RawInvocation, request: HttpRequest
    ) -> HttpResponse:
        """Return an answer that sets nothing for other projects on the same host."""
        head = request.head
        if self._catalogue.owns_origin(raw.project, host_of(head.header(b"host"))):
            return response
        segments = head.path.split("/", 3)
        depth = 3 if head.path.startswith(INVOKE_PREFIX) else 2
        return confined(response, "/".join(segments[:depth]).encode("latin-1"))

    def _may_know(self, raw: RawInvocation) -> bool:
        """Tell whether a caller showed a valid token, or needs none: only then is it advised."""
        version = self._catalogue.find(raw.project, raw.function, raw.qualifier)
        public = (
            version is not None
            and self._catalogue.closure(raw.project, raw.function, version).public
        )
        return public or self._accounts.authenticate(raw.credential) is not None

    async def _handle_route(self, request: HttpRequest) -> HttpResponse:
        head = request.head
        host = host_of(head.header(b"host"))
        wanted = asked_method(head)
        if wanted is not None:
            answer = self._preflight(head, wanted, host)
            if answer is not None:
                return answer
        match = self._catalogue.route(head.method, head.path, host)
        if match is None:
            known = self._catalogue.has_public_route_like(head.path, host)
            return self.lead_nowhere(request, known=known)
        if isinstance(match, frozenset):
            return self._wrong_method(request, match, host)
        if is_script_for_all(head) and not self._catalogue.owns_origin(match.route.project, host):
            return self.lead_nowhere(request)
        try:
            event = http_event(request, match.route.template, match.parameters)
        except ValueError:
            detail = f"The query has more than {_MAX_QUERY_FIELDS} fields."
            return self._lead_nowhere(request, Outcome.INVALID, 400, detail)
        raw = RawInvocation(
            trigger="http",
            project=match.route.project,
            function=match.route.function,
            qualifier=None,
            credential=_credential(head),
            content_type="",
            body=request.body,
            attributes=_attributes(head),
            event=event,
            received_at=time.time(),
            remote_address=head.peer,
        )
        response = await self._call(raw, request, later=match.route.asynchronous)
        cors = self._cors(match)
        return response if cors is None else shared(cors, head, response)

    def _cors(self, match: Match) -> Cors | None:
        version = self._catalogue.most_live(match.route.project, match.route.function)
        return None if version is None else version.spec.cors

    def _methods(self, head: HttpHead, host: str, *, public: bool = False) -> list[str]:
        """Return the methods that a path takes, or those of functions that are open to all."""
        found = []
        for method in METHODS:
            match = self._catalogue.route(method, head.path, host)
            if not isinstance(match, Match):
                continue
            version = self._catalogue.find(match.route.project, match.route.function)
            if version is None:
                continue
            closure = self._catalogue.closure(version.project, version.function, version)
            if closure.public or not public:
                found.append(method)
        return found

    def _preflight(self, head: HttpHead, wanted: str, host: str) -> HttpResponse | None:
        """Answer a preflight; None where the manifest says nothing of other origins."""
        match = self._catalogue.route(wanted, head.path, host)
        cors = self._cors(match) if isinstance(match, Match) else None
        if cors is None or not cors.origins:
            return None
        return preflight(cors, head, self._methods(head, host))

    def _wrong_method(
        self, request: HttpRequest, methods: frozenset[str], host: str
    ) -> HttpResponse:
        """Answer 405; who has no token is told of what is open to all, and of nothing else."""
        detail = "This path does not take this method."
        public = self._methods(request.head, host, public=True)
        allow = ", ".join(public or sorted(methods)).encode()
        return self._lead_nowhere(
            request, Outcome.INVALID, 405, detail, allow=allow, known=bool(public)
        )

    def lead_nowhere(
        self, request: HttpRequest, *, recorded: bool = False, known: bool = False
    ) -> HttpResponse:
        """Answer as for a path that there is not; `recorded`: that it was denied is known.

        With `known` it is beside what is open to all, and 404 tells nobody anything.
        """
        detail = "There is no such path."
        return self._lead_nowhere(
            request, Outcome.NOT_FOUND, 404, detail, recorded=recorded, known=known
        )

    def _lead_nowhere(
        self,
        request: HttpRequest,
        outcome: Outcome,
        status: int,
        detail: str,
        *,
        allow: bytes | None = None,
        recorded: bool = False,
        known: bool = False,
    ) -> HttpResponse:
        """Refuse a request that names no function. `known`: that there is none is no secret.

        Without a token all of them look the same; with one that has no role on the whole node they
        look like a function that it may not invoke, so that nobody maps another project's routes.
        """
        asking = self._accounts.authenticate(_credential(request.head))
        if known:
            pass  # whoever asks, the answer is the same
        elif asking is None:
            outcome, status, detail = Outcome.DENIED, 401, "This needs a valid token."
            allow = None
            if not recorded:
                self._record(request, ANONYMOUS, DenialKind.AUTHENTICATION, "no valid token")
        elif not any(binding.project is None for binding in asking.bindings):
            outcome, status, detail = Outcome.DENIED, 403, "The token does not allow this."
            allow = None
            if not recorded:
                self._record(request, asking, DenialKind.AUTHORIZATION, "no policy allows it")
        raw = RawInvocation(
            trigger="http",
            project="",
            function="",
            qualifier=None,
            credential=None,
            content_type="",
            body=b"",
            received_at=time.time(),
        )
        failure = Failure(type="Refused", message=f"{detail} {request.head.method}")
        answer = self._seal.close(
            Finished(outcome=outcome, raw=raw, status=status, detail=detail, failure=failure)
        )
        if allow is not None:
            answer.headers = (*answer.headers, (b"allow", allow))
        return answer

    def _record(
        self, request: HttpRequest, asking: Principal, kind: DenialKind, reason: str
    ) -> None:
        self._deny(
            Denial(
                at=time.time(),
                kind=kind,
                principal=asking.text,
                action=Action.FUNCTION_INVOKE.value,
                resource="node",
                reason=reason,
                remote_address=request.head.peer,
            )
        )


def _attributes(head: HttpHead) -> tuple[tuple[str, str], ...]:
    """Return the attributes of a CloudEvent in binary mode, percent-decoded as its binding says."""
    return tuple(
        (name[3:].decode("latin-1"), unquote(value.decode("latin-1"), errors="replace"))
        for name, value in head.headers
        if name.startswith(b"ce-")
    )


def _accepts_cloud_event(head: HttpHead) -> bool:
    """Tell whether a caller asks for its answer as a CloudEvent, by name."""
    value = head.header(b"accept")
    return value is not None and any(
        media_type_of(one) == STRUCTURED for one in value.decode("latin-1").split(",")
    )


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _credential(head: HttpHead) -> str | None:
    value = head.header(b"authorization")
    return None if value is None else value.decode("latin-1")
