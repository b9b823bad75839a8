"""The HTTP trigger: which requests become which invocations, and which lead nowhere."""

from __future__ import annotations

import asyncio
import base64
import json
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.admission import Admission, Catalogue
from casemate.delivery.wish import LATER, NOTHING, Wish
from casemate.front.calls import Take
from casemate.front.named import split_invoke_path
from casemate.invocation import LoadRefusals, Pipeline
from casemate.model.function import Cors, Limits
from casemate.model.function import HttpTrigger as HttpTrigger_
from casemate.model.http import HttpRequest, HttpResponse
from casemate.model.path import RawInvocation
from casemate.model.principal import Principal, PrincipalKind
from casemate.model.route import RouteClaim
from casemate.seal import Seal
from casemate.triggers.http_event import http_event, is_text
from support.core import (
    INVOKER_TOKEN,
    MemoryStore,
    PlainPolicy,
    TwoTokens,
    deployed,
    http_request,
    version,
)
from support.front import Front

TEXT, REVOKED_TEXT = INVOKER_TOKEN, "revoked-token"
KIB, MIB = 1024, 1024 * 1024


class Gateway:
    """A trigger with a private and a public function; invocations and API requests are kept."""

    def __init__(self) -> None:
        self.catalogue, self.accounts, self.store = Catalogue(), TwoTokens(), MemoryStore()
        private = version(
            name="private",
            routes=["GET /private", "POST /private", "GET /items/{id}", "* /any"],
            limits=Limits(request=3 * MIB),
        )
        public = version(
            name="public",
            public=True,
            routes=["GET /public/{rest...}", "POST /hook"],
            limits=Limits(request=2 * MIB),
        )
        unrouted = version(name="unrouted", public=True, limits=Limits(request=2 * MIB))
        self.catalogue.replace([deployed(private), deployed(public), deployed(unrouted)])
        self.invoked: list[RawInvocation] = []
        self.wishes: list[Wish] = []
        self.trigger = self.leading_to(self._take)

    def leading_to(self, take: Take) -> Front:
        """Return the route table, with calls handed to `take`."""
        return Front(take, catalogue=self.catalogue, accounts=self.accounts, store=self.store)

    @property
    def api(self) -> list[HttpRequest]:
        return [request for request, _ in self.trigger.api]

    async def _take(self, raw: RawInvocation, wish: Wish) -> HttpResponse:
        self.invoked.append(raw)
        self.wishes.append(wish)
        return HttpResponse(200, (), b"invoked")

    def ask(self, *args: Any, **rest: Any) -> HttpResponse:
        return asyncio.run(self.trigger.handle(http_request(*args, **rest)))

    def limit(self, *args: Any, **rest: Any) -> int:
        return self.trigger.limit(http_request(*args, **rest))


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


# -- /invoke -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/invoke/p/f", ("p", "f", None)),
        ("/invoke/p/f@live", ("p", "f", "live")),
        ("/invoke/p/f@7", ("p", "f", "7")),
        ("/invoke/p/f@", None),
        ("/invoke/p/f@a@b", None),
        ("/invoke/p/@a", None),
        ("/invoke/P/f", None),
        ("/invoke/p/%66", None),
        ("/invoke/p/f\n", None),
        ("/invoke/p/f@\u0664", None),
        ("/invoke/", None),
        ("/invoke/p", None),
        ("/invoke/p/", None),
        ("/invoke//f", None),
        ("/invoke/p/f/", None),
        ("/invoke/p/f/g", None),
        ("/invoke///", None),
    ],
)
def test_names_of_an_invoke_path(path: str, names: tuple[str, str, str | None] | None) -> None:
    assert split_invoke_path(path) == names


def test_an_invocation_by_name(gateway: Gateway) -> None:
    answer = gateway.ask(
        "POST",
        "/invoke/t/private@2",
        query="ignored=1",
        headers=[(b"content-type", b"application/json")],
        body=b'{"a":1}',
        key=TEXT,
    )
    assert answer.body == b"invoked"
    [raw] = gateway.invoked
    assert msgspec.structs.replace(raw, received_at=0.0, checked=None) == RawInvocation(
        trigger="invoke",
        project="t",
        function="private",
        qualifier="2",
        credential=f"Bearer {TEXT}",
        content_type="application/json",
        body=b'{"a":1}',
        event=None,
        received_at=0.0,
        remote_address="192.0.2.7",
    )


def test_what_may_be_invoked_is_decided_by_admission(gateway: Gateway) -> None:
    for path in ("/invoke/t/private", "/invoke/no/such"):
        gateway.ask("POST", path)
    assert [(r.project, r.function, r.credential) for r in gateway.invoked] == [
        ("t", "private", None),
        ("no", "such", None),
    ]


@pytest.mark.parametrize("path", ["/invoke/t/%70rivate", "/invoke/../x", "/invoke/T/private"])
def test_what_can_be_no_function_is_not_looked_for(gateway: Gateway, path: str) -> None:
    assert gateway.ask("POST", path).status == 401
    assert gateway.ask("POST", path, key=TEXT).status == 404
    assert gateway.invoked == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "post"])
def test_functions_are_invoked_with_post_only(gateway: Gateway, method: str) -> None:
    answer = gateway.ask(method, "/invoke/t/private", key=TEXT)
    assert answer.status == 405
    assert dict(answer.headers)[b"allow"] == b"POST"
    assert gateway.invoked == []


def test_the_api_has_its_own_paths(gateway: Gateway) -> None:
    assert gateway.ask("GET", "/api/v1/functions").body == b"api"
    assert gateway.ask("GET", "/api/").body == b"api"
    assert gateway.ask("GET", "/api", key=TEXT).status == 404
    assert len(gateway.api) == 2


# -- routes --------------------------------------------------------------------------------------


def test_a_route_becomes_an_event(gateway: Gateway) -> None:
    gateway.ask(
        "GET",
        "/items/caf%C3%A9",
        query="a=1&b=&a=2&c=%C3%A9+x",
        headers=[(b"accept", b"a/b"), (b"x-a", b"1"), (b"x-a", b"2")],
        key=TEXT,
    )
    [raw] = gateway.invoked
    assert (raw.trigger, raw.project, raw.function) == ("http", "t", "private")
    assert (raw.qualifier, raw.content_type) == (None, "")
    assert raw.credential == f"Bearer {TEXT}"
    assert raw.event == {
        "method": "GET",
        "path": "/items/caf%C3%A9",
        "route": "/items/{id}",
        "path_parameters": {"id": "caf\u00e9"},
        "query": {"a": ["1", "2"], "b": [""], "c": ["\u00e9 x"]},
        "headers": {"accept": "a/b", "x-a": "1, 2"},
        "body": None,
        "is_base64": False,
        "remote_address": "192.0.2.7",
    }


def test_a_public_route_needs_no_token_here(gateway: Gateway) -> None:
    gateway.ask("GET", "/public/a/b")
    assert gateway.invoked[0].event is not None
    assert gateway.invoked[0].event["path_parameters"] == {"rest": "a/b"}
    assert gateway.invoked[0].credential is None


def event_of(**rest: Any) -> dict[str, Any]:
    return http_event(http_request("POST", "/x", **rest), "/x", {})


@pytest.mark.parametrize("name", [b"authorization", b"proxy-authorization"])
def test_the_caller_s_token_is_hidden_from_functions(name: bytes) -> None:
    event = event_of(headers=[(name, b"Bearer s3cr3t"), (name, b"again s3cr3t"), (b"x-a", b"b")])
    assert event["headers"] == {"x-a": "b"}
    assert "s3cr3t" not in json.dumps(event)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"a", b"b", b"cookie", b"authorization", b"x-forwarded-for"]),
            st.binary(max_size=6),
        ),
        max_size=8,
    )
)
def test_headers_of_the_same_name_are_joined_in_order(headers: list[tuple[bytes, bytes]]) -> None:
    joined = event_of(headers=headers)["headers"]
    for name in {name for name, _ in headers} - {b"authorization"}:
        values = [value.decode("latin-1") for key, value in headers if key == name]
        assert joined[name.decode()] == ", ".join(values)
    assert "authorization" not in joined
    assert set(joined) == {name.decode() for name, _ in headers} - {"authorization"}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "TEXT/HTML; charset=utf-8",
        "application/json",
        "application/ld+json",
        "image/svg+xml",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/javascript",
    ],
)
def test_text_is_handed_over_as_text(content_type: str) -> None:
    assert is_text(content_type)
    body = "caf\u00e9 & more".encode()
    event = event_of(headers=[(b"content-type", content_type.encode())], body=body)
    assert (event["body"], event["is_base64"]) == ("caf\u00e9 & more", False)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "image/png",
        "application/octet-stream",
        "multipart/form-data; x=text/plain",
        "application/jsonp",
        "textual/plain",
        "application/grpc",
        "x/y; a=+json",
        "application/zip",
    ],
)
def test_anything_else_is_base64(content_type: str) -> None:
    assert not is_text(content_type)
    event = event_of(headers=[(b"content-type", content_type.encode())], body=b"abc")
    assert (event["body"], event["is_base64"]) == ("YWJj", True)


def test_text_that_is_none_is_base64() -> None:
    for body in (b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80"):
        event = event_of(headers=[(b"content-type", b"text/plain")], body=body)
        assert event["is_base64"] is True
        assert base64.b64decode(event["body"]) == body


@given(st.binary(max_size=100), st.sampled_from([b"text/plain", b"image/png", b"application/json"]))
def test_no_byte_of_a_body_is_lost(body: bytes, content_type: bytes) -> None:
    event = event_of(headers=[(b"content-type", content_type)], body=body)
    sent = json.loads(msgspec.json.encode(event))
    if not body:
        assert sent["body"] is None
    elif sent["is_base64"]:
        assert base64.b64decode(sent["body"]) == body
    else:
        assert sent["body"].encode() == body


@given(st.text(alphabet="ab&=%+;19eEfF\u00e9", max_size=60))
def test_a_query_never_fails_to_be_read(query: str) -> None:
    event = event_of(query=query)
    msgspec.json.encode(event)
    for values in event["query"].values():
        assert values and all(isinstance(value, str) for value in values)


def test_the_number_of_query_fields_is_bounded(gateway: Gateway) -> None:
    assert gateway.ask("GET", "/public/a", query="&".join(["a=1"] * 256)).body == b"invoked"
    answer = gateway.ask("GET", "/items/1", query="&".join(["a=1"] * 257), key=TEXT)
    assert answer.status == 400 and b"256" in answer.body
    assert len(gateway.invoked) == 1


def test_only_the_method_does_not_fit(gateway: Gateway) -> None:
    answer = gateway.ask("DELETE", "/private", key=TEXT)
    assert answer.status == 405
    assert dict(answer.headers)[b"allow"] == b"GET, HEAD, POST"
    assert gateway.ask("DELETE", "/any", key=TEXT).body == b"invoked"


# -- leading nowhere -----------------------------------------------------------------------------

NOWHERE = [
    ("GET", "/"),
    ("GET", "/nothing"),
    ("DELETE", "/private"),
    ("GET", "/invoke/t/private"),
    ("GET", "/invoke/no/such"),
    ("POST", "/invoke/"),
    ("POST", "/invoke/t"),
    ("POST", "/invoke/a/b/c"),
    ("GET", "/items/%2e%2e"),
    ("GET", "/items/a%2fb"),
    ("GET", "//items/1"),
    ("GET", "/items/"),
    ("GET", "/items/%zz"),
]


def sealed(answer: HttpResponse) -> tuple[object, ...]:
    """Return a response without what is new in each: its ids."""
    assert isinstance(answer.body, bytes)
    body = json.loads(answer.body)
    assert len(body.pop("error_id")) == 28
    headers = dict(answer.headers)
    assert len(headers.pop(b"x-request-id")) == 28
    return answer.status, headers, body


@pytest.mark.parametrize(("method", "path"), NOWHERE)
@pytest.mark.parametrize("key", [None, REVOKED_TEXT, "cm_x_y", ""])
def test_without_a_token_nothing_is_learned(
    gateway: Gateway, method: str, path: str, key: str | None
) -> None:
    status, headers, body = sealed(gateway.ask(method, path, key=key))
    assert status == 401
    assert headers[b"www-authenticate"].startswith(b"Bearer")  # type: ignore[index]
    assert body == {
        "type": "urn:casemate:problem:unauthenticated",
        "title": "Not authenticated",
        "status": 401,
        "detail": "This needs a valid token.",
    }
    assert gateway.invoked == []


@pytest.mark.parametrize(("method", "path"), NOWHERE)
def test_with_a_token_the_caller_is_told(gateway: Gateway, method: str, path: str) -> None:
    assert gateway.ask(method, path, key=TEXT).status in (404, 405)


def path_of(gateway: Gateway, admission: Admission) -> Pipeline:
    """Return a path that ends at admission."""
    seal, store = Seal(gateway.store), gateway.store
    refusals = LoadRefusals(seal, PlainPolicy(), store.deny, None)
    unbounded = SimpleNamespace(mark=0, is_late=lambda _mark: False)
    return Pipeline(admission, None, None, seal, refusals, unbounded, str, lambda *_: None)  # type: ignore[arg-type]


def test_what_leads_nowhere_looks_like_a_private_function(gateway: Gateway) -> None:
    admission = Admission(gateway.catalogue, gateway.accounts, PlainPolicy(), gateway.store.deny)
    pipeline = path_of(gateway, admission)
    trigger = gateway.leading_to(lambda raw, _: pipeline.invoke(raw))

    def ask(method: str, path: str, **rest: Any) -> tuple[object, ...]:
        return sealed(asyncio.run(trigger.handle(http_request(method, path, **rest))))

    private = ask("GET", "/private")
    assert private[0] == 401
    for method, path in [*NOWHERE, ("GET", "/items/1"), ("PUT", "/any")]:
        assert "allow" not in str(ask(method, path))
        assert ask(method, path) == private
    for path in ("/invoke/t/private", "/invoke/t/no", "/invoke/no/no", "/invoke/t/private@9"):
        assert ask("POST", path) == private
        assert ask("POST", path, key="cm_forged_x") == private
    too_many = "&".join(["a=1"] * 257)
    assert ask("GET", "/items/1", query=too_many) == private


def test_what_leads_nowhere_is_recorded(gateway: Gateway) -> None:
    answer = gateway.ask("GET", "/nothing")
    [(record, error, _)] = gateway.store.records
    assert (record.project, record.function, record.status) == ("", "", 401)
    assert error is not None and record.id.encode() == dict(answer.headers)[b"x-request-id"]


@pytest.mark.parametrize("key", [None, TEXT])
def test_which_path_was_refused_is_recorded_without_what_may_be_secret(
    gateway: Gateway, key: str | None
) -> None:
    path = "/reset/9f2c51aa03b1e7d4c0ffee/wp-login.php"
    answer = gateway.ask("POST", path, query="token=hidden", key=key)
    assert answer.status == (401 if key is None else 404)
    [(_, error, _)] = gateway.store.records
    denied = [denial.resource for denial in gateway.store.denied]
    # Who may know that there is no such path is denied nothing.
    assert denied == (["path:/reset/*/wp-login.php"] if key is None else [])
    assert error is not None and error.message.startswith("POST /reset/*/wp-login.php: ")
    assert b"wp-login" not in answer.body


def test_which_path_takes_no_such_method_is_recorded(gateway: Gateway) -> None:
    assert gateway.ask("DELETE", "/public/a").status == 405
    [(_, error, _)] = gateway.store.records
    assert error is not None
    assert error.message == "DELETE /public/a: This path does not take this method."


# -- how much may be sent ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "without", "with_token"),
    [
        ("POST", "/invoke/t/private", 64 * KIB, 3 * MIB),
        ("POST", "/invoke/t/private@live", 64 * KIB, 3 * MIB),
        ("POST", "/invoke/t/private@9", 64 * KIB, 64 * KIB),
        ("POST", "/invoke/t/public", 64 * KIB, 2 * MIB),
        ("POST", "/invoke/t/unrouted", 2 * MIB, 2 * MIB),
        ("POST", "/invoke/t/nothing", 64 * KIB, 64 * KIB),
        ("POST", "/invoke/x", 64 * KIB, 64 * KIB),
        ("POST", "/private", 64 * KIB, 3 * MIB),
        ("PUT", "/private", 64 * KIB, 64 * KIB),
        ("POST", "/hook", 2 * MIB, 2 * MIB),
        ("POST", "/nothing", 64 * KIB, 64 * KIB),
        ("POST", "/", 64 * KIB, 64 * KIB),
        ("POST", "/api/v1/tokens", 64 * KIB, MIB),
        ("PUT", "/api/v1/bundles/x", 64 * KIB, 512 * MIB),
        ("PUT", "/api/v1/bundles", 64 * KIB, MIB),
        ("PUT", "/api/v2/bundles/x", 64 * KIB, MIB),
        ("PUT", "/api", 64 * KIB, 64 * KIB),
    ],
)
def test_the_limit_of_a_body(
    gateway: Gateway, method: str, path: str, without: int, with_token: int
) -> None:
    for key in (None, "", "cm_x_y", REVOKED_TEXT, TEXT[:-1]):
        assert gateway.limit(method, path, key=key) == without
    assert gateway.limit(method, path, key=TEXT) == with_token


@given(st.text(max_size=30), st.sampled_from(["", "/invoke/", "/api/", "/api/v1/bundles/", "/"]))
def test_the_limit_is_known_for_any_path(path: str, prefix: str) -> None:
    gateway = Gateway()
    assert gateway.limit("POST", prefix + path) in (64 * KIB, 2 * MIB)


# -- who asks, from where ------------------------------------------------------------------------


def test_the_caller_s_address_reaches_the_records_of_denials(gateway: Gateway) -> None:
    admission = Admission(gateway.catalogue, gateway.accounts, PlainPolicy(), gateway.store.deny)
    pipeline = path_of(gateway, admission)
    trigger = gateway.leading_to(lambda raw, _: pipeline.invoke(raw))
    for method, path in (("POST", "/invoke/t/private"), ("GET", "/private"), ("GET", "/items/1")):
        assert asyncio.run(trigger.handle(http_request(method, path))).status == 401
    denied = gateway.store.denied
    assert [d.remote_address for d in denied] == ["192.0.2.7"] * 3
    assert {d.resource for d in denied} == {"function:t/private"}


@pytest.mark.parametrize("key", [REVOKED_TEXT, "cm_x_y"])
def test_guessing_tokens_where_nothing_is_leaves_a_denial(gateway: Gateway, key: str) -> None:
    assert gateway.ask("GET", "/nothing", key=key).status == 401
    assert [d.remote_address for d in gateway.store.denied] == ["192.0.2.7"]


def test_a_token_without_rights_does_not_learn_which_routes_exist(gateway: Gateway) -> None:
    guest = "guest-token"
    gateway.accounts.known[f"Bearer {guest}"] = Principal(kind=PrincipalKind.TOKEN, id="guest")
    admission = Admission(gateway.catalogue, gateway.accounts, PlainPolicy(), gateway.store.deny)
    pipeline = path_of(gateway, admission)
    trigger = gateway.leading_to(lambda raw, _: pipeline.invoke(raw))
    answers = {
        path: sealed(asyncio.run(trigger.handle(http_request(method, path, key=guest))))[0]
        for method, path in (("GET", "/private"), ("DELETE", "/private"), ("GET", "/nothing"))
    }
    assert len(set(answers.values())) == 1


# -- what runs later -----------------------------------------------------------------------------


def test_a_call_that_asks_for_nothing_else_is_waited_for(gateway: Gateway) -> None:
    gateway.ask("POST", "/invoke/t/private", key=INVOKER_TOKEN)
    gateway.ask("GET", "/private", key=INVOKER_TOKEN)
    assert gateway.wishes == [NOTHING, NOTHING]


def test_a_route_or_a_caller_lets_a_call_run_later(gateway: Gateway) -> None:
    later = version(name="later", public=True)
    route = HttpTrigger_(method="POST", path="/later", asynchronous=True)
    spec_ = msgspec.structs.replace(later.spec, http=(route,))
    gateway.catalogue.replace([deployed(msgspec.structs.replace(later, spec=spec_))])
    gateway.ask("POST", "/later")
    prefer = ((b"prefer", b"respond-async"), (b"casemate-delay", b"2.5"))
    gateway.ask("POST", "/invoke/t/later", headers=prefer)
    assert gateway.wishes == [LATER, Wish(later=True, preferred=True, delay=2.5)]


def test_a_bad_wish_is_refused_and_nothing_is_taken(gateway: Gateway) -> None:
    bad = ((b"prefer", b"respond-async"), (b"casemate-delay", b"soon"))
    answer = gateway.ask("POST", "/invoke/t/private", headers=bad, key=INVOKER_TOKEN)
    assert answer.status == 400
    assert isinstance(answer.body, bytes)
    assert "casemate-delay is 'soon'; expected seconds" in answer.body.decode()
    assert gateway.invoked == []


def test_who_has_no_token_is_not_advised(gateway: Gateway) -> None:
    bad = ((b"casemate-delay", b"soon"),)
    gateway.ask("POST", "/invoke/t/private", headers=bad)
    assert gateway.wishes == [NOTHING], "admission refuses it for want of a token"


# -- true answers beside what is open to all -------------------------------------------------------


@pytest.mark.parametrize("key", [None, TEXT, "cm_x_y"])
def test_beside_public_routes_404_and_405_are_true(gateway: Gateway, key: str | None) -> None:
    answer = gateway.ask("PUT", "/hook", key=key)
    assert (answer.status, dict(answer.headers)[b"allow"]) == (405, b"POST")
    answer = gateway.ask("POST", "/public/a", key=key)
    assert (answer.status, dict(answer.headers)[b"allow"]) == (405, b"GET, HEAD")
    assert gateway.ask("GET", "/hook/none", key=key).status == 404
    assert gateway.invoked == []


def test_head_goes_where_get_does(gateway: Gateway) -> None:
    assert gateway.ask("HEAD", "/public/a").status == 200
    [raw] = gateway.invoked
    assert raw.event is not None
    assert (raw.event["method"], raw.event["route"]) == ("HEAD", "/public/{rest...}")
    assert gateway.ask("HEAD", "/hook").status == 405
    assert gateway.ask("HEAD", "/private").status == 200, "admission decides, not the route"


# -- other origins ---------------------------------------------------------------------------------

PAGE, OTHER = b"https://app.example.com", b"https://evil.example.com"


def cors_gateway(**cors: Any) -> Gateway:
    gateway = Gateway()
    settings = Cors(**{"origins": (PAGE.decode(),), **cors})
    shop = version(
        name="shop", public=True, routes=["GET /shop/{id}", "PUT /shop/{id}"], cors=settings
    )
    gateway.catalogue.replace([deployed(shop)])
    return gateway


def preflight(gateway: Gateway, origin: bytes = PAGE, method: bytes = b"PUT") -> HttpResponse:
    headers = ((b"origin", origin), (b"access-control-request-method", method))
    return gateway.ask("OPTIONS", "/shop/1", headers=headers)


def test_a_preflight_is_answered_without_the_function() -> None:
    gateway = cors_gateway(headers=("x-token",), credentials=True, max_age=30.0)
    answer = preflight(gateway)
    told = dict(answer.headers)
    assert (answer.status, gateway.invoked) == (204, [])
    assert told[b"access-control-allow-origin"] == PAGE
    assert told[b"access-control-allow-methods"] == b"GET, HEAD, PUT"
    assert told[b"access-control-allow-headers"] == b"x-token"
    assert told[b"access-control-allow-credentials"] == b"true"
    assert told[b"access-control-max-age"] == b"30"
    refused = preflight(gateway, OTHER)
    assert refused.status == 204
    assert not [n for n, _ in refused.headers if n.startswith(b"access-control")]
    assert preflight(gateway, method=b"DELETE").status == 405


def test_answers_say_who_may_read_them_by_the_manifest_alone() -> None:
    gateway = cors_gateway(expose=("x-total",))

    async def take(raw: RawInvocation, wish: Wish) -> HttpResponse:
        return HttpResponse(200, ((b"access-control-allow-origin", b"*"), (b"x-total", b"1")), b"")

    gateway.trigger = gateway.leading_to(take)
    told = dict(gateway.ask("GET", "/shop/1", headers=((b"origin", PAGE),)).headers)
    assert told[b"access-control-allow-origin"] == PAGE
    assert told[b"access-control-expose-headers"] == b"x-total"
    assert told[b"vary"] == b"Origin"
    told = dict(gateway.ask("GET", "/shop/1", headers=((b"origin", OTHER),)).headers)
    assert b"access-control-allow-origin" not in told


def test_every_origin_is_never_with_credentials() -> None:
    gateway = cors_gateway(origins=("*",), credentials=True)
    told = dict(preflight(gateway, OTHER).headers)
    assert told[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in told


# -- the whole origin ------------------------------------------------------------------------------


def test_where_projects_share_a_host_an_answer_sets_nothing_for_all_of_it(gateway: Gateway) -> None:
    async def take(raw: RawInvocation, wish: Wish) -> HttpResponse:
        headers = (
            (b"set-cookie", b"a=1; Path=/; Domain=example.com; HttpOnly"),
            (b"Clear-Site-Data", b'"*"'),
            (b"x-own", b"1"),
        )
        return HttpResponse(200, headers, b"")

    gateway.trigger = gateway.leading_to(take)
    alone = gateway.ask("GET", "/public/a")
    assert len(alone.headers) == 3, "a node with one project is that project's"
    other = version(project="u", name="other", routes=["GET /other"])
    own = version(name="public", public=True, routes=["GET /public/{rest...}"])
    both = [deployed(own), deployed(other)]
    gateway.catalogue.replace(both)
    assert gateway.ask("GET", "/public/a").headers == (
        (b"set-cookie", b"a=1; HttpOnly; Path=/public"),
        (b"x-own", b"1"),
    )
    gateway.catalogue.replace(both, (RouteClaim(project="t", hosts=("shop.example.com",)),))
    there = ((b"host", b"Shop.example.com:8443"),)
    assert len(gateway.ask("GET", "/public/a", headers=there).headers) == 3
    assert gateway.ask("GET", "/public/a").status == 401, "it answers on its own host only"
