"""Tokens of services, by the shapes that their issuers document for scanners."""

from __future__ import annotations

import re

from casemate.masking.shapes import Shape, begins

_AWS_KEY = re.compile(r"(?<![A-Za-z0-9])A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])")
_AWS_SECRET = re.compile(
    r"(?i:ecret_?access_?key)[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?P<value>[A-Za-z0-9/+]{40})"
    r"(?![A-Za-z0-9/+])"
)
_GITHUB = re.compile(r"gh[pousr]_[A-Za-z0-9]{36,255}+")
_GITHUB_FINE = re.compile(r"github_pat_[A-Za-z0-9_]{22,255}+")
_GITLAB = re.compile(
    r"gl(?:pat|ptt|dt|rt|cbt|ft|soat)-[A-Za-z0-9_-]{20,255}+(?:\.[A-Za-z0-9_]{2,32}+){0,2}"
)
_SLACK = re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{10,255}+|xapp-[0-9]-[A-Za-z0-9-]{10,255}+")
_SLACK_HOOK = re.compile(r"slack\.com/(?P<value>(?:services|workflows)/[A-Za-z0-9/_-]{20,200}+)")
_STRIPE = re.compile(r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}+")
_STRIPE_HOOK = re.compile(r"whsec_[A-Za-z0-9+/]{24,255}+={0,2}")
_GOOGLE = re.compile(r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])")
_GOOGLE_OAUTH = re.compile(r"ya29\.[A-Za-z0-9_-]{20,2048}+|GOCSPX-[A-Za-z0-9_-]{28}")
_NPM = re.compile(r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])")
_PYPI = re.compile(r"pypi-AgE[A-Za-z0-9_-]{40,2048}+")
_MODEL_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])sk-(?:ant|proj|svcacct|or)-[A-Za-z0-9_-]{20,512}+"
    r"|(?<![A-Za-z0-9_-])sk-[A-Za-z0-9]{48}(?![A-Za-z0-9_-])"
)
_HUGGING_FACE = re.compile(r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{34,64}+(?![A-Za-z0-9])")
_SENDGRID = re.compile(r"(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,64}+\.[A-Za-z0-9_-]{16,128}+")
_CASEMATE = re.compile(r"cm_[0-9a-f]{16}_[A-Za-z0-9_-]{40,256}+")
_JWT = re.compile(
    r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]*+"
    r"(?:\.[A-Za-z0-9_-]++){0,2}"
)
_HEADER = re.compile(
    r"(?i:uthorization)[\"']?\s{0,3}(?:=>|[:=,])\s{0,3}b?[\"']?"
    r"(?:(?i:basic|bearer|token|digest|negotiate|apikey|bot|key|aws4-[a-z0-9-]{1,20})\s{1,3}"
    r"(?P<given>[A-Za-z0-9._~+/=:-]{6,8192}+)"
    r"|(?P<bare>(?=[A-Za-z._~+/=-]{0,64}[0-9])[A-Za-z0-9._~+/=-]{16,8192}+))"
)
_BEARER = re.compile(
    r"(?i:bearer)(?:\s{1,3}|%20|\+)(?P<value>(?=[A-Za-z0-9._~+/=-]{0,200}[0-9._~+/=])"
    r"[A-Za-z0-9._~+/=-]{16,8192}+)"
)
_URL = re.compile(
    r"://(?P<value>[^\s/?#\"'<>\\@:]{0,256}+:[^\s/?#\"'<>\\@]{1,256}+(?:@[^\s/?#\"'<>\\@:]{1,256}+"
    r"(?=@))?)@"
)
_KEY_HEAD = "-----BEGIN "
_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[A-Za-z0-9+/=\s]|\\+[nrt]|(?:Proc-Type|DEK-Info|Comment|Version):[^\n\\]{0,200})*+"
    r"(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----)?"
)
_HEAD_REACH = len(_KEY_HEAD) + 32


def _header(text: str, at: int) -> tuple[int, int] | None:
    """Return the credential after the name of the header, without its scheme."""
    match = _HEADER.match(text, at)
    return None if match is None else match.span(match.lastgroup or 0)


def _password(text: str, at: int) -> tuple[int, int] | None:
    match = _URL.match(text, at)
    if match is None or "[redacted:" in match["value"]:
        return None
    return match.span("value")


def _private_key(text: str, at: int) -> tuple[int, int] | None:
    head = text.rfind(_KEY_HEAD, max(0, at - _HEAD_REACH), at)
    match = None if head < 0 else _KEY.match(text, head)
    return None if match is None else match.span()


SHAPES = (
    Shape("aws-key", ("AKIA", "ASIA"), begins(_AWS_KEY)),
    Shape(
        "aws-key",
        ("ecret_access_key", "ECRET_ACCESS_KEY", "ecretAccessKey"),
        begins(_AWS_SECRET),
    ),
    Shape("github-token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), begins(_GITHUB)),
    Shape("github-token", ("github_pat_",), begins(_GITHUB_FINE)),
    Shape("gitlab-token", ("gl",), begins(_GITLAB)),
    Shape("slack-token", ("xox", "xapp-"), begins(_SLACK)),
    Shape("slack-token", ("slack.com/",), begins(_SLACK_HOOK)),
    Shape("stripe-key", ("k_live_", "k_test_"), begins(_STRIPE, before=1)),
    Shape("stripe-key", ("whsec_",), begins(_STRIPE_HOOK)),
    Shape("google-key", ("AIza",), begins(_GOOGLE)),
    Shape("google-key", ("ya29.", "GOCSPX-"), begins(_GOOGLE_OAUTH)),
    Shape("package-token", ("npm_",), begins(_NPM)),
    Shape("package-token", ("pypi-",), begins(_PYPI)),
    Shape("service-key", ("sk-",), begins(_MODEL_KEY)),
    Shape("service-key", ("hf_",), begins(_HUGGING_FACE)),
    Shape("service-key", ("SG.",), begins(_SENDGRID)),
    Shape("casemate-token", ("cm_",), begins(_CASEMATE)),
    Shape("jwt", ("eyJ",), begins(_JWT)),
    Shape("private-key", ("PRIVATE KEY",), _private_key),
    Shape("authorization", ("uthorization", "UTHORIZATION"), _header),
    Shape("authorization", ("earer", "EARER"), begins(_BEARER, before=1)),
    Shape("url-password", ("://",), _password),
)
