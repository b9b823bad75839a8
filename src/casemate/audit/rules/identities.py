"""Rules about users: pools of Cognito, their clients, guests."""

from __future__ import annotations

from casemate.audit.finding import Severity
from casemate.audit.model import Asset
from casemate.audit.rule import Risk, Rule
from casemate.audit.rules.common import Wrong
from casemate.audit.rules.resource_rules import data_rule

_POOL, _CLIENT = "AWS::Cognito::UserPool", "AWS::Cognito::UserPoolClient"
_GUESTS = "AWS::Cognito::IdentityPool"


def _second_factor(a: Asset) -> str | None:
    return "a password is enough to log in" if a.settings["second_factor"] == "OFF" else None


def _short(a: Asset) -> str | None:
    length = a.settings["length"]
    return (
        f"passwords of {length:.0f} characters are accepted"
        if length is not None and length < 8
        else None
    )


def _signup(a: Asset) -> str | None:
    return "everybody can create an account" if a.settings["self_signup"] else None


def _advanced(a: Asset) -> str | None:
    return (
        "passwords are not checked against stolen ones"
        if a.settings["advanced"] in ("", "OFF")
        else None
    )


def _flows(a: Asset) -> str | None:
    plain = [f for f in a.settings["flows"] if "USER_PASSWORD_AUTH" in f]
    return f"{plain[0]} lets clients send passwords to Cognito in clear text" if plain else None


def _implicit(a: Asset) -> str | None:
    return (
        "tokens are handed out in URLs (implicit grant)"
        if "implicit" in a.settings["grants"]
        else None
    )


def _callbacks(a: Asset) -> str | None:
    bad = [
        u
        for u in a.settings["callbacks"]
        if u.startswith("http://") and "localhost" not in u and "127.0.0.1" not in u
    ]
    return f"tokens are sent to {bad[0][:80]} without encryption" if bad else None


def _rule(
    id: str,
    title: str,
    why: str,
    fix: str,
    wrong: Wrong,
    kind: str,
    type: str,
    bad: str,
    good: str,
    severity: Severity,
    cwe: int,
    attack: str = "",
) -> Rule:
    return data_rule(
        *(id, title, why, fix, wrong, kind, type, bad, good, severity),
        owasp="SAS-02",
        cwe=cwe,
        attack=attack,
        risk=Risk.PERMISSIONS,
    )


RULES = (
    _rule(
        "ID-001",
        "No second factor",
        "Passwords are guessed, reused and phished.",
        "Set MfaConfiguration: ON, or OPTIONAL with an adaptive policy.",
        _second_factor,
        "user-pool",
        _POOL,
        "UserPoolName: a",
        "UserPoolName: a\nMfaConfiguration: 'ON'",
        Severity.LOW,
        308,
        "T1078",
    ),
    _rule(
        "ID-002",
        "Short passwords",
        "Eight characters are the minimum of NIST SP 800-63B.",
        "Set MinimumLength to 12 or more.",
        _short,
        "user-pool",
        _POOL,
        "Policies: {PasswordPolicy: {MinimumLength: 6}}",
        "Policies: {PasswordPolicy: {MinimumLength: 12}}",
        Severity.MEDIUM,
        521,
        "T1110",
    ),
    _rule(
        "ID-003",
        "Everybody can create an account",
        "An authorizer that lets every user in lets in everybody who creates an account.",
        "Set AllowAdminCreateUserOnly: true, or check groups in the handler.",
        _signup,
        "user-pool",
        _POOL,
        "UserPoolName: a",
        "AdminCreateUserConfig: {AllowAdminCreateUserOnly: true}",
        Severity.INFO,
        287,
    ),
    _rule(
        "ID-004",
        "Stolen passwords are not checked for",
        "Attackers try passwords that leaked elsewhere on every site.",
        "Set AdvancedSecurityMode: ENFORCED.",
        _advanced,
        "user-pool",
        _POOL,
        "UserPoolName: a",
        "UserPoolAddOns: {AdvancedSecurityMode: ENFORCED}",
        Severity.INFO,
        307,
        "T1110.004",
    ),
    _rule(
        "ID-005",
        "Clients send passwords in clear text",
        "Anything between client and Cognito, or that logs there, gets the password. SRP "
        "proves the password without sending it.",
        "Use ALLOW_USER_SRP_AUTH.",
        _flows,
        "pool-client",
        _CLIENT,
        "UserPoolId: !Ref Pool\nExplicitAuthFlows: [ALLOW_USER_PASSWORD_AUTH]",
        "UserPoolId: !Ref Pool\nExplicitAuthFlows: [ALLOW_USER_SRP_AUTH]",
        Severity.LOW,
        522,
    ),
    _rule(
        "ID-006",
        "Tokens in URLs",
        "URLs end up in browser histories, logs and Referer headers.",
        "Use AllowedOAuthFlows: [code] with PKCE.",
        _implicit,
        "pool-client",
        _CLIENT,
        "UserPoolId: !Ref Pool\nAllowedOAuthFlows: [implicit]",
        "UserPoolId: !Ref Pool\nAllowedOAuthFlows: [code]",
        Severity.MEDIUM,
        598,
        "T1528",
    ),
    _rule(
        "ID-007",
        "Tokens sent without encryption",
        "Anybody on the network path can read them.",
        "Use https:// in CallbackURLs.",
        _callbacks,
        "pool-client",
        _CLIENT,
        "UserPoolId: !Ref Pool\nCallbackURLs: ['http://app.example/in']",
        "UserPoolId: !Ref Pool\nCallbackURLs: ['https://app.example/in']",
        Severity.MEDIUM,
        319,
        "T1528",
    ),
    _rule(
        "ID-008",
        "Answers reveal who has an account",
        "Attackers collect user names before they try passwords.",
        "Set PreventUserExistenceErrors: ENABLED.",
        lambda a: "errors reveal whether a user exists" if a.settings["tells_existence"] else None,
        "pool-client",
        _CLIENT,
        "UserPoolId: !Ref Pool\nPreventUserExistenceErrors: LEGACY",
        "UserPoolId: !Ref Pool\nPreventUserExistenceErrors: ENABLED",
        Severity.LOW,
        204,
    ),
    _rule(
        "ID-009",
        "Guests get AWS credentials",
        "Everybody gets keys of a role in your account. Whatever the role may do is public.",
        "Set AllowUnauthenticatedIdentities: false, or give guests a role whose actions cost "
        "and reveal nothing.",
        lambda a: (
            "everybody gets AWS credentials from it" if a.settings["unauthenticated"] else None
        ),
        "identity-pool",
        _GUESTS,
        "AllowUnauthenticatedIdentities: true",
        "AllowUnauthenticatedIdentities: false",
        Severity.MEDIUM,
        287,
        "T1078.004",
    ),
    _rule(
        "ID-010",
        "Classic flow of identity pools",
        "The classic flow lets clients choose the role, and the limits of its scope-down "
        "policy do not apply.",
        "Set AllowClassicFlow: false.",
        lambda a: "clients choose their role (classic flow)" if a.settings["classic"] else None,
        "identity-pool",
        _GUESTS,
        "AllowUnauthenticatedIdentities: false\nAllowClassicFlow: true",
        "AllowUnauthenticatedIdentities: false\nAllowClassicFlow: false",
        Severity.LOW,
        285,
    ),
)
