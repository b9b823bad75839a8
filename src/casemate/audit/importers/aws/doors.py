"""What is called from outside, APIs before all, and who signs in there: their settings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from casemate.audit.importers.aws.resource import (
    Resource,
    at,
    listed,
    number,
    referred,
    text,
    truth,
)

Settings = dict[str, Any]


def _cors_of(rules: Any) -> Settings:
    """Return what CORS settings open, in any of their forms."""
    origins: list[str] = []
    if isinstance(rules, str):
        origins = [rules.strip("'\"")]
    given = rules if isinstance(rules, dict) else {}
    for key in ("AllowOrigins", "AllowOrigin", "AllowedOrigins", "allowedOrigins"):
        origins += [text(o).strip("'\"") for o in listed(given.get(key))]
    credentials = truth(given.get("AllowCredentials")) if given else False
    return {
        "cors_any": "*" in origins,
        "cors_credentials": credentials,
        "cors": bool(rules),
        "cors_origins": tuple(origins),
        "cors_headers": _names(given.get("AllowHeaders")),
        "cors_expose": _names(given.get("ExposeHeaders")),
    }


def _names(given: Any) -> tuple[str, ...]:
    """Return names of headers, of a list or of a text as REST APIs have it: `'a,b'`."""
    found = ",".join(text(each).strip("'\"") for each in listed(given))
    return tuple(sorted({name.strip().lower() for name in found.split(",")} - {""}))


def _rest_stage(stage: Any) -> Settings:
    methods = [each for each in listed(at(stage, "MethodSettings")) if isinstance(each, dict)]
    return {
        "logged": at(stage, "AccessLogSetting") is not None
        or at(stage, "AccessLogSettings") is not None,
        "tracing": truth(at(stage, "TracingEnabled")),
        "throttled": any("ThrottlingRateLimit" in each for each in methods)
        or at(stage, "DefaultRouteSettings", "ThrottlingRateLimit") is not None,
        "data_trace": any(truth(each.get("DataTraceEnabled")) for each in methods)
        or bool(truth(at(stage, "DefaultRouteSettings", "DataTraceEnabled"))),
        "cache": truth(at(stage, "CacheClusterEnabled")),
        "cache_encrypted": any(truth(each.get("CacheDataEncrypted")) for each in methods),
        "execution_level": next(
            (text(each["LoggingLevel"]) for each in methods if "LoggingLevel" in each), ""
        ),
    }


def _sam_api(each: Resource) -> Settings:
    cors = each.get("Cors") if each.get("Cors") is not None else each.get("CorsConfiguration")
    auth = each.map("Auth")
    return {
        **_rest_stage(each.properties),
        **_cors_of({"AllowOrigin": "*"} if cors is True else cors),
        "stage": True,
        "usage_plan": bool(at(auth, "UsagePlan")),
        "default_authorizer": text(auth.get("DefaultAuthorizer")),
        "authorizer_to_options": truth(auth.get("AddDefaultAuthorizerToCorsPreflight"), True),
        "domain_tls": each.text("Domain", "SecurityPolicy"),
        "domain": each.get("Domain") is not None,
        "execute_api_disabled": truth(each.get("DisableExecuteApiEndpoint")),
        "fails_on_warnings": truth(each.get("FailOnWarnings")),
        "authorizers": tuple(auth.get("Authorizers") or ())
        if isinstance(auth.get("Authorizers"), dict)
        else (),
        "http": each.type.endswith("HttpApi"),
    }


def _http_api(each: Resource) -> Settings:
    return {
        **_cors_of(each.get("CorsConfiguration")),
        "http": True,
        "stage": False,
        "socket": each.text("ProtocolType") == "WEBSOCKET",
    }


def _rest_api(each: Resource) -> Settings:
    return {"stage": False, "execute_api_disabled": truth(each.get("DisableExecuteApiEndpoint"))}


def _stage(each: Resource) -> Settings:
    return {
        **_rest_stage(each.properties),
        "stage": True,
        "of": referred(each.get("RestApiId") or each.get("ApiId")),
        "http": each.type.startswith("AWS::ApiGatewayV2"),
    }


def _authorizer(each: Resource) -> Settings:
    return {
        "ttl": number(each.get("AuthorizerResultTtlInSeconds")),
        "identity": json.dumps(each.get("IdentitySource") or ""),
        "kind": each.text("Type") or each.text("AuthorizerType"),
    }


def _cdn(each: Resource) -> Settings:
    config = each.map("DistributionConfig")
    behaviours = [
        b
        for b in (config.get("DefaultCacheBehavior"), *listed(config.get("CacheBehaviors")))
        if isinstance(b, dict)
    ]
    return {
        "tls": text(at(config, "ViewerCertificate", "MinimumProtocolVersion")),
        "own_certificate": at(config, "ViewerCertificate", "AcmCertificateArn") is not None,
        "plain_http": any(text(b.get("ViewerProtocolPolicy")) == "allow-all" for b in behaviours),
        "logged": at(config, "Logging") is not None,
        "firewall": bool(config.get("WebACLId")),
        "origin_plain": any(
            text(at(o, "CustomOriginConfig", "OriginProtocolPolicy")) == "http-only"
            for o in listed(config.get("Origins"))
        ),
    }


def _pool(each: Resource) -> Settings:
    password = each.map("Policies", "PasswordPolicy")
    return {
        "second_factor": each.text("MfaConfiguration") or "OFF",
        "length": number(password.get("MinimumLength")),
        "self_signup": not truth(each.get("AdminCreateUserConfig", "AllowAdminCreateUserOnly")),
        "advanced": each.text("UserPoolAddOns", "AdvancedSecurityMode"),
        "protected": each.text("DeletionProtection") == "ACTIVE",
    }


def _pool_client(each: Resource) -> Settings:
    return {
        "flows": tuple(map(text, each.list("ExplicitAuthFlows"))),
        "grants": tuple(map(text, each.list("AllowedOAuthFlows"))),
        "tells_existence": each.text("PreventUserExistenceErrors") == "LEGACY",
        "callbacks": tuple(map(text, each.list("CallbackURLs"))),
        "revocable": truth(each.get("EnableTokenRevocation"), True),
    }


def _identity(each: Resource) -> Settings:
    return {
        "unauthenticated": truth(each.get("AllowUnauthenticatedIdentities")),
        "classic": truth(each.get("AllowClassicFlow")),
    }


def _permission(each: Resource) -> Settings:
    return {
        "principal": each.text("Principal"),
        "narrowed": any(
            each.get(key) is not None
            for key in ("SourceArn", "SourceAccount", "PrincipalOrgID", "EventSourceToken")
        ),
    }


def _graph(each: Resource) -> Settings:
    return {
        "kind": each.text("AuthenticationType"),
        "logged": each.get("LogConfig") is not None,
        "tracing": truth(each.get("XrayEnabled")),
        "introspection": each.text("IntrospectionConfig") != "DISABLED",
        "verbose": truth(each.get("LogConfig", "ExcludeVerboseContent"), False) is False
        and each.get("LogConfig", "FieldLogLevel") == "ALL",
    }


def _balancer(each: Resource) -> Settings:
    return {
        "protocol": each.text("Protocol"),
        "redirects": "redirect" in json.dumps(each.get("DefaultActions") or ""),
        "policy": each.text("SslPolicy"),
    }


def _domain(each: Resource) -> Settings:
    found = each.text("SecurityPolicy")
    for inner in each.list("DomainNameConfigurations"):
        found = found or text(at(inner, "SecurityPolicy"))
    return {"tls": found}


DOORS: Mapping[str, tuple[str, Callable[[Resource], Settings]]] = {
    "AWS::Serverless::Api": ("api", _sam_api),
    "AWS::Serverless::HttpApi": ("api", _sam_api),
    "AWS::ApiGateway::RestApi": ("api", _rest_api),
    "AWS::ApiGatewayV2::Api": ("api", _http_api),
    "AWS::ApiGateway::Stage": ("stage", _stage),
    "AWS::ApiGatewayV2::Stage": ("stage", _stage),
    "AWS::ApiGateway::Deployment": ("deployment", lambda each: {}),
    "AWS::ApiGateway::Authorizer": ("authorizer", _authorizer),
    "AWS::ApiGatewayV2::Authorizer": ("authorizer", _authorizer),
    "AWS::ApiGateway::DomainName": ("domain", _domain),
    "AWS::ApiGatewayV2::DomainName": ("domain", _domain),
    "AWS::CloudFront::Distribution": ("cdn", _cdn),
    "AWS::Cognito::UserPool": ("user-pool", _pool),
    "AWS::Cognito::UserPoolClient": ("pool-client", _pool_client),
    "AWS::Cognito::IdentityPool": ("identity-pool", _identity),
    "AWS::AppSync::GraphQLApi": ("graph", _graph),
    "AWS::ElasticLoadBalancingV2::Listener": ("listener", _balancer),
    "AWS::Lambda::Permission": ("permission", _permission),
    "AWS::WAFv2::WebACLAssociation": (
        "firewall",
        lambda each: {"of": json.dumps(each.get("ResourceArn") or "")},
    ),
}
