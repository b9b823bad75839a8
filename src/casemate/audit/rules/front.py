"""Rules about GraphQL APIs, load balancers and CDNs in front of functions."""

from __future__ import annotations

from casemate.audit.finding import Severity
from casemate.audit.model import Asset
from casemate.audit.rule import Risk
from casemate.audit.rules.entry import OLD_TLS, api_rule, setting


def _graph_key(a: Asset) -> str | None:
    return (
        "it requires only an API key, which every client has"
        if a.settings["kind"] == "API_KEY"
        else None
    )


def _listener(a: Asset) -> str | None:
    s = a.settings
    return (
        "it accepts HTTP without encryption"
        if s["protocol"] == "HTTP" and not s["redirects"]
        else None
    )


def _listener_tls(a: Asset) -> str | None:
    policy = a.settings["policy"]
    return f"{policy} accepts old TLS" if policy in OLD_TLS else None


def _cdn_tls(a: Asset) -> str | None:
    tls = a.settings.get("tls") or ""
    return f"{tls} accepts old TLS" if tls in OLD_TLS and a.settings["own_certificate"] else None


RULES = (
    api_rule(
        "API-021",
        "GraphQL API with only a key",
        "The key is in every client that you ship.",
        "Use AMAZON_COGNITO_USER_POOLS, OPENID_CONNECT or AWS_IAM.",
        _graph_key,
        "Name: g\nAuthenticationType: API_KEY",
        "Name: g\nAuthenticationType: AWS_IAM",
        kind="graph",
        type="AWS::AppSync::GraphQLApi",
        severity=Severity.MEDIUM,
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=287,
    ),
    api_rule(
        "API-022",
        "GraphQL API without logs",
        "Nobody can tell what was queried.",
        "Set LogConfig.",
        setting("logged", False, "no logs are kept"),
        "Name: g\nAuthenticationType: AWS_IAM",
        "Name: g\nAuthenticationType: AWS_IAM\nLogConfig: {FieldLogLevel: ERROR}",
        kind="graph",
        type="AWS::AppSync::GraphQLApi",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
    ),
    api_rule(
        "API-023",
        "GraphQL API that allows introspection",
        "An attacker can read all its types and fields.",
        "Set IntrospectionConfig: DISABLED.",
        setting("introspection", True, "introspection is on"),
        "Name: g\nAuthenticationType: AWS_IAM",
        "Name: g\nAuthenticationType: AWS_IAM\nIntrospectionConfig: DISABLED",
        kind="graph",
        type="AWS::AppSync::GraphQLApi",
        severity=Severity.INFO,
        risk=Risk.ERRORS,
        owasp="SAS-06",
        cwe=200,
    ),
    api_rule(
        "API-024",
        "GraphQL API that logs whole requests",
        "Arguments and headers, including tokens, are in the logs.",
        "Set ExcludeVerboseContent: true.",
        setting("verbose", True, "it writes headers and arguments into logs"),
        "Name: g\nLogConfig: {FieldLogLevel: ALL}",
        "Name: g\nLogConfig: {FieldLogLevel: ALL, ExcludeVerboseContent: true}",
        kind="graph",
        type="AWS::AppSync::GraphQLApi",
        risk=Risk.MONITORING,
        owasp="SAS-03",
        cwe=532,
    ),
    api_rule(
        "API-025",
        "Load balancer without encryption",
        "Anybody on the network path can read and change requests.",
        "Listen for HTTPS, and let the HTTP listener redirect.",
        _listener,
        "Protocol: HTTP\nPort: 80\nDefaultActions: [{Type: forward}]",
        "Protocol: HTTP\nPort: 80\nDefaultActions: [{Type: redirect, RedirectConfig: {Protocol: HTTPS, StatusCode: HTTP_301}}]",
        kind="listener",
        type="AWS::ElasticLoadBalancingV2::Listener",
        severity=Severity.MEDIUM,
        owasp="SAS-03",
        cwe=319,
        attack="T1040",
    ),
    api_rule(
        "API-026",
        "Load balancer that accepts old TLS",
        "TLS 1.0 and 1.1 are broken.",
        "Set SslPolicy: ELBSecurityPolicy-TLS13-1-2-2021-06.",
        _listener_tls,
        "Protocol: HTTPS\nSslPolicy: ELBSecurityPolicy-2016-08",
        "Protocol: HTTPS\nSslPolicy: ELBSecurityPolicy-TLS13-1-2-2021-06",
        kind="listener",
        type="AWS::ElasticLoadBalancingV2::Listener",
        severity=Severity.MEDIUM,
        owasp="SAS-03",
        cwe=326,
    ),
    api_rule(
        "API-027",
        "CDN that answers without encryption",
        "Anybody on the network path can read and change what visitors get.",
        "Set ViewerProtocolPolicy: redirect-to-https.",
        setting("plain_http", True, "it answers HTTP without encryption"),
        "DistributionConfig: {DefaultCacheBehavior: {ViewerProtocolPolicy: allow-all}}",
        "DistributionConfig: {DefaultCacheBehavior: {ViewerProtocolPolicy: redirect-to-https}}",
        kind="cdn",
        type="AWS::CloudFront::Distribution",
        severity=Severity.MEDIUM,
        owasp="SAS-03",
        cwe=319,
        attack="T1040",
    ),
    api_rule(
        "API-028",
        "CDN that accepts old TLS",
        "TLS 1.0 and 1.1 are broken.",
        "Set MinimumProtocolVersion: TLSv1.2_2021.",
        _cdn_tls,
        "DistributionConfig: {ViewerCertificate: {AcmCertificateArn: !Ref Own, MinimumProtocolVersion: TLSv1}}",
        "DistributionConfig: {ViewerCertificate: {AcmCertificateArn: !Ref Own, MinimumProtocolVersion: TLSv1.2_2021}}",
        kind="cdn",
        type="AWS::CloudFront::Distribution",
        severity=Severity.MEDIUM,
        owasp="SAS-03",
        cwe=326,
    ),
    api_rule(
        "API-029",
        "CDN without logs",
        "After an attack nobody can tell who requested what.",
        "Set Logging.",
        setting("logged", False, "no access log is kept"),
        "DistributionConfig: {DefaultCacheBehavior: {ViewerProtocolPolicy: https-only}}",
        "DistributionConfig: {Logging: {Bucket: logs.s3.amazonaws.com}}",
        kind="cdn",
        type="AWS::CloudFront::Distribution",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
    ),
    api_rule(
        "API-030",
        "CDN that reaches its origin without encryption",
        "Anybody between the CDN and the origin can read what visitors send.",
        "Set OriginProtocolPolicy: https-only.",
        setting("origin_plain", True, "it requests from an origin by HTTP"),
        "DistributionConfig: {Origins: [{Id: a, DomainName: a.example, CustomOriginConfig: {OriginProtocolPolicy: http-only}}]}",
        "DistributionConfig: {Origins: [{Id: a, DomainName: a.example, CustomOriginConfig: {OriginProtocolPolicy: https-only}}]}",
        kind="cdn",
        type="AWS::CloudFront::Distribution",
        severity=Severity.LOW,
        owasp="SAS-03",
        cwe=319,
    ),
)
