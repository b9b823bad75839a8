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
        return f"{t.method} {t.path} does not authenticate callers"
    return None


def _reads_open(f: Function, t: Trigger) -> str | None:
    if t.reach is Reach.PUBLIC and t.method in ("GET", "HEAD"):
        return f"{t.method} {t.path} does not authenticate callers"
    return None


_LOGIN = re.compile(r"/(?:log|sign)-?in/?$", re.I)
"""Where somebody says who they are: nobody can before."""


def _sensitive_open(f: Function, t: Trigger) -> str | None:
    if t.method.upper() == "OPTIONS":  # browsers ask so before a call, and can prove nothing then
        return None
    if t.reach is Reach.PUBLIC and _SENSITIVE.search(t.path) and not _LOGIN.search(t.path):
        return f"{t.method} {t.path} is internal by its name, and everybody can call it"
    return None


def _inner_open(subject: Subject) -> Iterator[Hit]:
    """Yield routes for the inside: milder where the handler seems to look at who calls."""
    for each in of_triggers(_aws(_sensitive_open), "http")(subject):
        path = each.subject.partition(" ")[2]
        checked = each.function is not None and looks_at_callers(subject, each.function, path)
        cause = "" if checked else f"internal routes of {each.place.file}"
        severity = Severity.MEDIUM if checked else None
        yield msgspec.structs.replace(each, severity=severity, cause=cause)


def _key_alone(f: Function, t: Trigger) -> str | None:
    return f"{t.method} {t.path} requires only an API key" if t.how == "api key" else None


def _skill(f: Function, t: Trigger) -> str | None:
    return "every Alexa skill may call it" if t.reach is Reach.PUBLIC else None


def _connect(f: Function, t: Trigger) -> str | None:
    if t.path == "$connect" and t.reach is Reach.PUBLIC:
        return "everybody can connect"
    return None


def _url_cors(f: Function, t: Trigger) -> str | None:
    cors = t.settings.get("cors") or {}
    origins = cors.get("AllowOrigins") or []
    return "pages of any site can use its URL" if "*" in origins else None


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
        return "its callers have no rate limit"
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
        return "pages of any site may call it with the cookies of whoever opens them"
    return None


def _default_endpoint(a: Asset) -> str | None:
    s = a.settings
    if s.get("domain") and not s.get("execute_api_disabled"):
        return "it can also be reached by its name at amazonaws.com, without the domain's firewall"
    return None


def _old(a: Asset) -> str | None:
    tls = a.settings.get("tls") or a.settings.get("domain_tls") or ""
    return f"{tls} accepts old TLS" if tls in OLD_TLS else None


def _ttl(a: Asset) -> str | None:
    ttl = a.settings.get("ttl")
    if ttl is not None and ttl > 900:
        return f"a decision is kept for {ttl:.0f} s after the right was taken away"
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
        title="Route that changes data without authentication",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=306,
        attack="T1190",
        severity=Severity.MEDIUM,
        why="Without an authorizer everybody can call it. If each handler checks callers by "
        "itself, sooner or later one forgets to.",
        fix="Set an authorizer for the API (Auth.DefaultAuthorizer) or the route. If it is "
        "meant to be open, write down why: # casemate: allow API-001 until=... reason=...",
        check=of_triggers(_aws(_changes_open), "http"),
        vulnerable=function(event=_POST),
        fixed=function(event=_POST_IAM),
    ),
    Rule(
        id="API-002",
        title="Route that reads data without authentication",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=306,
        attack="T1190",
        severity=Severity.LOW,
        why="Its answers are public. That may be intended, but not for personal data.",
        fix="Set an authorizer, or write down that it is meant to be public.",
        check=of_triggers(_aws(_reads_open), "http"),
        vulnerable=function(event=_POST.replace("post", "get")),
        fixed=function(event=_POST_IAM.replace("post", "get")),
    ),
    Rule(
        id="API-003",
        title="Internal route that everybody can call",
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=425,
        attack="T1190",
        severity=Severity.HIGH,
        why="Scanners request /admin, /debug and the like from every host within hours.",
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
        why="API keys meter callers. They are in clients and logs, do not expire and "
        "identify nobody. AWS says not to use them for access control.",
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
        why="Without a SkillId, anybody's skill can call the function.",
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
        why="Authorization happens only at $connect: if that route is open, it is open for "
        "all messages.",
        fix="Set AuthorizationType and AuthorizerId on the route $connect.",
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
        title="Function URL that pages of any site can use",
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        cwe=942,
        severity=Severity.LOW,
        why="An attacker's page can call it from the browser, and from the network, of "
        "whoever opens the page.",
        fix="Name the origins that need it in AllowOrigins.",
        check=of_triggers(_url_cors, "url"),
        vulnerable=function("FunctionUrlConfig: {AuthType: AWS_IAM, Cors: {AllowOrigins: ['*']}}"),
        fixed=function(
            "FunctionUrlConfig: {AuthType: AWS_IAM, Cors: {AllowOrigins: ['https://shop.example']}}"
        ),
    ),
    api_rule(
        "API-010",
        "API that pages of any site can use",
        "An attacker's page can call it from the browser of whoever opens the page, and read "
        "the answer.",
        "Name the origins that need it.",
        lambda a: "pages of any site can read its answers" if a.settings.get("cors_any") else None,
        _BASE + "Cors: \"'*'\"",
        _BASE + "Cors: \"'https://shop.example'\"",
        cwe=942,
    ),
    api_rule(
        "API-011",
        "Cookies for pages of any site",
        "With credentials and every origin allowed, an attacker's page acts as whoever opens it.",
        "Name the origins, or do not allow credentials.",
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
        "After an attack nobody can tell who called what, and from where.",
        "Set AccessLogSetting (AccessLogSettings for HTTP APIs) with a log group.",
        _unlogged,
        _BASE,
        _BASE + "AccessLogSetting: {DestinationArn: !GetAtt Logs.Arn}",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
    ),
    api_rule(
        "API-013",
        "API without a rate limit",
        "One caller can use up everybody's share, and you pay for it.",
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
        "Nobody can follow a request through functions and tables.",
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
        "Bodies and headers of requests, including passwords and tokens, are in the logs.",
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
        "API cache that is not encrypted",
        "Answers for individual callers are stored unencrypted in the cache.",
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
        "The domain's firewall rules and client certificates do not apply at the default name.",
        "Set DisableExecuteApiEndpoint: true.",
        _default_endpoint,
        _BASE + "Domain: {DomainName: api.example, CertificateArn: !Ref Own}",
        _BASE
        + "DisableExecuteApiEndpoint: true\nDomain: {DomainName: api.example, CertificateArn: !Ref Own}",
        cwe=288,
    ),
    api_rule(
        "API-018",
        "Domain that accepts old TLS",
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
        "Somebody who lost a right keeps it for that time.",
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
        why="A firewall stops scanners and known attacks before they cost a call. It is not "
        "a sufficient defence by itself.",
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
