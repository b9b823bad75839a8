"""Rules about what stands in front of functions: routes, APIs, authorizers, domains."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from casemate.audit.finding import Severity
from casemate.audit.model import Asset, Function, Platform, Reach, Trigger
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.callers import looks_at_callers
from casemate.audit.rules.common import Wrong, WrongTrigger, of_assets, of_triggers
from casemate.audit.rules.examples import function, resource
from casemate.audit.rules.resource_rules import data_rule

_CHANGES = ("POST", "PUT", "PATCH", "DELETE", "ANY", "*")
_SENSITIVE = re.compile(
    r"(?:^|[/_.-])(?:admin|internal|debug|manage(?:ment)?|actuator|backup)(?:[/_.-]|$)"
    r"|(?:^|[/_.-])metrics/?$",  # with something behind it, they are of what is named there
    re.I,
)
OLD_TLS = (
    "TLS_1_0",
    "SSLv3",
    "TLSv1",
    "TLSv1_2016",
    "TLSv1.1_2016",
    "ELBSecurityPolicy-2016-08",
    "ELBSecurityPolicy-TLS-1-0-2015-04",
    "ELBSecurityPolicy-TLS-1-1-2017-01",
)


def _aws(wrong: WrongTrigger) -> WrongTrigger:
    def only(f: Function, t: Trigger) -> str | None:
        return wrong(f, t) if f.platform is Platform.AWS else None

    return only


def _changes_open(f: Function, t: Trigger) -> str | None:
    if t.reach is Reach.PUBLIC and t.method in _CHANGES and t.path not in ("$disconnect",):
        return f"{t.method} {t.path} asks nothing of who calls it"
    return None


def _reads_open(f: Function, t: Trigger) -> str | None:
    if t.reach is Reach.PUBLIC and t.method in ("GET", "HEAD"):
        return f"{t.method} {t.path} asks nothing of who calls it"
    return None


_LOGIN = re.compile(r"/(?:log|sign)-?in/?$", re.I)
"""Where somebody says who they are: nobody can before."""


def _sensitive_open(f: Function, t: Trigger) -> str | None:
    if t.method.upper() == "OPTIONS":  # browsers ask so before a call, and can prove nothing then
        return None
    if t.reach is Reach.PUBLIC and _SENSITIVE.search(t.path) and not _LOGIN.search(t.path):
        return f"{t.method} {t.path} is for the inside by its name, and everybody can call it"
    return None


def _inner_open(subject: Subject) -> Iterator[Hit]:
    """Yield routes for the inside: milder where the handler seems to look at who calls."""
    for each in of_triggers(_aws(_sensitive_open), "http")(subject):
        path = each.subject.partition(" ")[2]
        checked = each.function is not None and looks_at_callers(subject, each.function, path)
        cause = "" if checked else f"inner routes of {each.place.file}"
        severity = Severity.MEDIUM if checked else None
        yield msgspec.structs.replace(each, severity=severity, cause=cause)


def _key_alone(f: Function, t: Trigger) -> str | None:
    return f"{t.method} {t.path} asks for an API key alone" if t.how == "api key" else None


def _skill(f: Function, t: Trigger) -> str | None:
    return "every Alexa skill may call it" if t.reach is Reach.PUBLIC else None


def _connect(f: Function, t: Trigger) -> str | None:
    if t.path == "$connect" and t.reach is Reach.PUBLIC:
        return "everybody can connect"
    return None


def _url_cors(f: Function, t: Trigger) -> str | None:
    cors = t.settings.get("cors") or {}
    origins = cors.get("AllowOrigins") or []
    return "its URL can be used by the pages of every site" if "*" in origins else None


def setting(name: str, bad: object, text: str) -> Wrong:
    """Return a check of one setting."""

    def wrong(asset: Asset) -> str | None:
        return text if asset.settings.get(name) == bad else None

    return wrong


def _stages(asset: Asset) -> bool:
    return bool(asset.settings.get("stage"))


def _unlogged(a: Asset) -> str | None:
    return "no access log is kept" if _stages(a) and not a.settings.get("logged") else None


def _unthrottled(a: Asset) -> str | None:
    if _stages(a) and not a.settings.get("throttled") and not a.settings.get("usage_plan"):
        return "no rate is set for its callers"
    return None


def _untraced(a: Asset) -> str | None:
    if _stages(a) and not a.settings.get("http") and a.settings.get("tracing") is False:
        return "requests leave no traces"
    return None


def _cache(a: Asset) -> str | None:
    s = a.settings
    return "its cache is not encrypted" if s.get("cache") and not s.get("cache_encrypted") else None


def _credentials(a: Asset) -> str | None:
    s = a.settings
    # With `*` alone browsers take no credentials; such a pattern is answered with the page's own.
    if s.get("cors_credentials") and {"https://*", "http://*"} & set(s.get("cors_origins") or ()):
        return "pages of every site may call it with the cookies of whoever looks at them"
    return None


def _default_endpoint(a: Asset) -> str | None:
    s = a.settings
    if s.get("domain") and not s.get("execute_api_disabled"):
        return "it is also reached by its name at amazonaws.com, past the domain's firewall"
    return None


def _old(a: Asset) -> str | None:
    tls = a.settings.get("tls") or a.settings.get("domain_tls") or ""
    return f"{tls} lets clients speak old TLS" if tls in OLD_TLS else None


def _ttl(a: Asset) -> str | None:
    ttl = a.settings.get("ttl")
    if ttl is not None and ttl > 900:
        return f"a decision is kept for {ttl:.0f} s after the right is taken away"
    return None


def _firewall(subject: Subject) -> Iterator[Hit]:
    if any(True for _ in subject.application.of_kind("firewall")):
        return
    check = of_assets(
        "api",
        lambda a: (
            None
            if a.settings.get("http") or a.settings.get("socket") or not _stages(a)
            else "no firewall (WAF) is in front of it"
        ),
    )
    yield from check(subject)


_API, _HTTP = "AWS::Serverless::Api", "AWS::Serverless::HttpApi"
_POST = "Type: Api\nProperties: {Path: /orders, Method: post}"
_POST_IAM = "Type: Api\nProperties: {Path: /orders, Method: post, Auth: {Authorizer: AWS_IAM}}"
_BASE = "StageName: live\n"


def api_rule(
    id: str,
    title: str,
    why: str,
    fix: str,
    wrong: Wrong,
    bad: str,
    good: str,
    *,
    kind: str | tuple[str, ...] = ("api", "stage"),
    type: str = _API,
    severity: Severity = Severity.LOW,
    risk: Risk = Risk.RESPONSIBILITY,
    owasp: str = "SAS-06",
    cwe: int = 16,
    attack: str = "",
) -> Rule:
    """Return a rule about a way in, of which most are of an API."""
    return data_rule(
        *(id, title, why, fix, wrong, kind, type, bad, good, severity),
        owasp=owasp,
        cwe=cwe,
        attack=attack,
        risk=risk,
    )


RULES = (
    Rule(
        id="API-001",
        title="Route that changes something and asks nothing",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=306,
        attack="T1190",
        severity=Severity.MEDIUM,
        why="Without an authorizer everybody calls it. What the handler checks by itself is checked by "
        "each handler anew, and forgotten in one.",
        fix="Set an authorizer for the API (Auth.DefaultAuthorizer) or the route; where it is meant to be "
        "open, write down why: # casemate: allow API-001 until=... reason=...",
        check=of_triggers(_aws(_changes_open), "http"),
        vulnerable=function(event=_POST),
        fixed=function(event=_POST_IAM),
    ),
    Rule(
        id="API-002",
        title="Route that reads and asks nothing",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=306,
        attack="T1190",
        severity=Severity.LOW,
        why="What it answers is public. That may be meant; of data of people it is not.",
        fix="Set an authorizer, or write down that it is meant to be public.",
        check=of_triggers(_aws(_reads_open), "http"),
        vulnerable=function(event=_POST.replace("post", "get")),
        fixed=function(event=_POST_IAM.replace("post", "get")),
    ),
    Rule(
        id="API-003",
        title="Inner route that everybody can call",
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=425,
        attack="T1190",
        severity=Severity.HIGH,
        why="Scanners ask every host for /admin, /debug and the like within hours.",
        fix="Put it behind an authorizer of its own, or into an API with a private endpoint.",
        check=_inner_open,
        vulnerable=function(event="Type: Api\nProperties: {Path: /admin/users, Method: get}"),
        fixed=function(
            event="Type: Api\nProperties: {Path: /admin/users, Method: get, Auth: {Authorizer: AWS_IAM}}"
        ),
    ),
    Rule(
        id="API-004",
        title="API key as the only proof",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=287,
        attack="T1078",
        severity=Severity.LOW,
        why="API keys meter callers. They stand in clients and logs, do not expire and name nobody; AWS "
        "says not to use them for access.",
        fix="Add an authorizer (IAM, Cognito, JWT or Lambda) beside the key.",
        check=of_triggers(_aws(_key_alone), "http"),
        vulnerable=function(
            event="Type: Api\nProperties: {Path: /orders, Method: post, Auth: {ApiKeyRequired: true}}"
        ),
        fixed=function(
            event="Type: Api\nProperties: {Path: /orders, Method: post, Auth: {ApiKeyRequired: true, Authorizer: AWS_IAM}}"
        ),
    ),
    Rule(
        id="API-005",
        title="Alexa skill that is not named",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=346,
        severity=Severity.MEDIUM,
        why="Without a SkillId the skill of anybody calls the function.",
        fix="Set SkillId.",
        check=of_triggers(_skill, "skill"),
        vulnerable=function(event="Type: AlexaSkill"),
        fixed=function(event="Type: AlexaSkill\nProperties: {SkillId: amzn1.ask.skill.0}"),
    ),
    Rule(
        id="API-006",
        title="WebSocket that everybody can open",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=306,
        severity=Severity.MEDIUM,
        why="Who is connected is asked only at $connect: what is open there is open for all messages.",
        fix="Set AuthorizationType and AuthorizerId of the route $connect.",
        check=of_triggers(_connect, "websocket"),
        vulnerable=function(
            "",
            """\
Socket:
  Type: AWS::ApiGatewayV2::Api
  Properties: {ProtocolType: WEBSOCKET, Name: chat}
Connect:
  Type: AWS::ApiGatewayV2::Route
  Properties: {ApiId: !Ref Socket, RouteKey: $connect, Target: !Sub 'integrations/${Join}'}
Join:
  Type: AWS::ApiGatewayV2::Integration
  Properties: {ApiId: !Ref Socket, IntegrationUri: !Sub '${Thing.Arn}/invocations'}
""",
        ),
        fixed=function(
            "",
            """\
Socket:
  Type: AWS::ApiGatewayV2::Api
  Properties: {ProtocolType: WEBSOCKET, Name: chat}
Connect:
  Type: AWS::ApiGatewayV2::Route
  Properties: {ApiId: !Ref Socket, RouteKey: $connect, AuthorizationType: AWS_IAM, Target: !Sub 'integrations/${Join}'}
Join:
  Type: AWS::ApiGatewayV2::Integration
  Properties: {ApiId: !Ref Socket, IntegrationUri: !Sub '${Thing.Arn}/invocations'}
""",
        ),
    ),
    Rule(
        id="API-007",
        title="URL that pages of every site can use",
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        cwe=942,
        severity=Severity.LOW,
        why="A page of an attacker calls it from the browser, and from the network, of whoever looks at it.",
        fix="Name the origins that need it in AllowOrigins.",
        check=of_triggers(_url_cors, "url"),
        vulnerable=function("FunctionUrlConfig: {AuthType: AWS_IAM, Cors: {AllowOrigins: ['*']}}"),
        fixed=function(
            "FunctionUrlConfig: {AuthType: AWS_IAM, Cors: {AllowOrigins: ['https://shop.example']}}"
        ),
    ),
    api_rule(
        "API-010",
        "API that pages of every site can use",
        "A page of an attacker calls it from the browser of whoever looks at it, and reads the answer.",
        "Name the origins that need it.",
        lambda a: (
            "its answers can be read by pages of every site" if a.settings.get("cors_any") else None
        ),
        _BASE + "Cors: \"'*'\"",
        _BASE + "Cors: \"'https://shop.example'\"",
        cwe=942,
    ),
    api_rule(
        "API-011",
        "Cookies for the pages of every site",
        "With credentials and every origin, a page of an attacker acts as whoever looks at it.",
        "Name the origins, or leave credentials out.",
        _credentials,
        "CorsConfiguration: {AllowOrigins: ['https://*'], AllowCredentials: true}",
        "CorsConfiguration: {AllowOrigins: ['https://shop.example'], AllowCredentials: true}",
        type=_HTTP,
        severity=Severity.HIGH,
        cwe=942,
    ),
    api_rule(
        "API-012",
        "API without an access log",
        "Who called what, from where, cannot be told after an attack.",
        "Set AccessLogSetting (AccessLogSettings for HTTP APIs) with a group of logs.",
        _unlogged,
        _BASE,
        _BASE + "AccessLogSetting: {DestinationArn: !GetAtt Logs.Arn}",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
    ),
    api_rule(
        "API-013",
        "API without a rate",
        "One caller takes what all are allowed, and you pay for it.",
        "Set ThrottlingRateLimit and ThrottlingBurstLimit in MethodSettings, or a usage plan.",
        _unthrottled,
        _BASE,
        _BASE
        + "MethodSettings: [{HttpMethod: '*', ResourcePath: '/*', ThrottlingRateLimit: 50, ThrottlingBurstLimit: 100}]",
        cwe=770,
        attack="T1499.003",
    ),
    api_rule(
        "API-014",
        "API without traces",
        "The way of a request through functions and tables cannot be followed.",
        "Set TracingEnabled: true.",
        _untraced,
        _BASE,
        _BASE + "TracingEnabled: true",
        severity=Severity.INFO,
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
    ),
    api_rule(
        "API-015",
        "API that logs whole requests",
        "Bodies and headers of requests, passwords and tokens among them, are in the logs.",
        "Set DataTraceEnabled: false outside of tests.",
        lambda a: (
            "it writes whole requests and answers into logs"
            if a.settings.get("data_trace")
            else None
        ),
        _BASE + "MethodSettings: [{HttpMethod: '*', ResourcePath: '/*', DataTraceEnabled: true}]",
        _BASE + "MethodSettings: [{HttpMethod: '*', ResourcePath: '/*', DataTraceEnabled: false}]",
        severity=Severity.MEDIUM,
        risk=Risk.MONITORING,
        owasp="SAS-03",
        cwe=532,
        attack="T1552.001",
    ),
    api_rule(
        "API-016",
        "Cache of an API that is not encrypted",
        "Answers for one caller lie in clear in the cache.",
        "Set CacheDataEncrypted: true.",
        _cache,
        _BASE + "CacheClusterEnabled: true",
        _BASE
        + "CacheClusterEnabled: true\nMethodSettings: [{HttpMethod: '*', ResourcePath: '/*', CacheDataEncrypted: true}]",
        owasp="SAS-03",
        cwe=311,
    ),
    api_rule(
        "API-017",
        "Second way into an API",
        "Rules of the domain's firewall and its certificates for clients do not hold at the default name.",
        "Set DisableExecuteApiEndpoint: true.",
        _default_endpoint,
        _BASE + "Domain: {DomainName: api.example, CertificateArn: !Ref Own}",
        _BASE
        + "DisableExecuteApiEndpoint: true\nDomain: {DomainName: api.example, CertificateArn: !Ref Own}",
        cwe=288,
    ),
    api_rule(
        "API-018",
        "Domain that speaks old TLS",
        "TLS 1.0 and 1.1 are broken, and forbidden for card data.",
        "Set SecurityPolicy: TLS_1_2 or newer.",
        _old,
        "DomainName: api.example\nSecurityPolicy: TLS_1_0",
        "DomainName: api.example\nSecurityPolicy: TLS_1_2",
        kind="domain",
        type="AWS::ApiGateway::DomainName",
        severity=Severity.MEDIUM,
        owasp="SAS-03",
        cwe=326,
    ),
    api_rule(
        "API-019",
        "Decisions of an authorizer are kept too long",
        "Who lost a right keeps it for as long.",
        "Set AuthorizerResultTtlInSeconds to 300 or less.",
        _ttl,
        "AuthorizerResultTtlInSeconds: 3600\nType: TOKEN\nName: own",
        "AuthorizerResultTtlInSeconds: 300\nType: TOKEN\nName: own",
        kind="authorizer",
        type="AWS::ApiGateway::Authorizer",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=613,
    ),
    Rule(
        id="API-020",
        title="API without a firewall",
        risk=Risk.INPUT,
        owasp="SAS-01",
        cwe=693,
        severity=Severity.INFO,
        why="A firewall stops scanners and known attacks before they cost a call. It is no defence by itself.",
        fix="Associate a web ACL of AWS WAF with the stage, with the managed rule groups.",
        check=_firewall,
        vulnerable=resource(_API, _BASE),
        fixed=resource(
            _API,
            _BASE,
            "Guard:\n  Type: AWS::WAFv2::WebACLAssociation\n  Properties: {ResourceArn: !Ref Thing, WebACLArn: !Ref Rules}",
        ),
    ),
)
