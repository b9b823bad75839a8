"""A rule about tokens whose claims are believed without a look at their signature.

A token is taken apart by hand, or by a function that only decodes it. Where an authorizer stands
before every route of a function, it has looked at the signature already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.audit.code.reading import owned_files
from casemate.audit.finding import Severity
from casemate.audit.model import Function, Place, Reach
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.callers import functions_of, reached_from
from casemate.audit.rules.common import hit
from casemate.audit.rules.examples import javascript
from casemate.audit.rules.javascript_code import lines_of

_ENDINGS = (".js", ".mjs", ".cjs", ".ts", ".py")
_TOKEN = re.compile(r"[Aa]uthorization|[Bb]earer|[Jj]wt|JWT|id_?[Tt]oken|access_?[Tt]oken")
_DECODES = re.compile(r"\b(?:jwt\.decode|jwtDecode|jwt_decode|decodeJwt|jose\.decodeJwt)\(")
_BY_HAND = re.compile(
    r"(?:atob|Buffer\.from|base64url\.decode|base64\.decode|b64decode|b64_decode)"
    r"\([^\n]{0,100}\[1\]"
)
_PARSES = re.compile(r"JSON\.parse\(|json\.loads?\(|\.json\(")
"""Claims are JSON; what is decoded in a file that reads none is a hash or a password."""
_ANSWERED = "AuthenticationResult"
_OF_ANSWER = re.compile(r"\b(?:Id|Access)Token\b")
"""What Cognito has just answered: it comes from whoever signs, over TLS."""
_BASIC = re.compile(r"(?:split|partition)\(\s{0,3}[\"']:[\"']")
"""A user and a password, which stand in one text with a colon between them."""
_LINES_OF_BASIC = 4
"""From where it is decoded to where it is taken apart."""
_VERIFIES = re.compile(r"[Vv]erif(?:y|ier|ied)|expressjwt|express-jwt")


def _unchecked(subject: Subject) -> Iterator[Hit]:
    for file, function in owned_files(subject.application, _ENDINGS):
        if function.reach is Reach.AUTHENTICATED:
            continue
        code = subject.code.text(file)
        if code is None or _TOKEN.search(code) is None or _verifies(subject, function):
            continue
        parses = _PARSES.search(code) is not None
        lines = lines_of(subject, file, code)
        made: dict[str, str] | None = None
        reached: list[str] = []
        for at, (number, line) in enumerate(lines):
            # In Python `jwt.decode` looks at the signature.
            found = (_BY_HAND.search(line) if parses else None) or (
                None if file.endswith(".py") else _DECODES.search(line)
            )
            if found is not None and made is None:
                made = functions_of(code)
                reached = _reached(subject, file, made)
            inside = made is not None and any(line in body for body in made.values())
            if found is not None and inside and not any(line in body for body in reached):
                continue
            below = lines[at : at + _LINES_OF_BASIC]
            answered = _ANSWERED in code and _OF_ANSWER.search(line) is not None
            if (
                found is not None
                and not answered
                and not any(_BASIC.search(each) for _, each in below)
            ):
                what = "the claims of a token are used, and nothing checks its signature"
                place = Place(file, number, found.start() + 1)
                yield hit(function, what, place, f"{file} {line.strip()[:120]}")


def _reached(subject: Subject, file: str, made: dict[str, str]) -> list[str]:
    """Return the functions of a file that a handler without an authorizer before it comes to.

    Where none of them is a handler, that is not known: it may be all of them.
    """
    there = [f for f in subject.application.functions if f.entry == file]
    if not there:
        return list(made.values())
    opened = [f.handler.rpartition(".")[2] for f in there if f.reach is not Reach.AUTHENTICATED]
    return reached_from(made, opened)


def _verifies(subject: Subject, function: Function) -> bool:
    """Return whether any code of a function may look at a signature."""
    texts = (subject.code.text(file) for file in function.files if file.endswith(_ENDINGS))
    return any(text is not None and _VERIFIES.search(text) is not None for text in texts)


def _handler(body: str) -> dict[str, str]:
    return dict(
        javascript(
            "exports.handler = async (event) => {\n"
            "  const token = event.headers.authorization.split('.')\n"
            f"  {body}\n}}"
        )
    )


RULES: tuple[Rule, ...] = (
    Rule(
        id="ID-011",
        title="Token used without checking its signature",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=347,
        attack="T1550.001",
        severity=Severity.MEDIUM,
        by_reach=True,
        why="Anybody can write a token that says they are somebody else.",
        fix="Verify it with the issuer's keys (jwt.verify, CognitoJwtVerifier). Or set an "
        "authorizer for the route and read what it passes on.",
        check=_unchecked,
        vulnerable=_handler("return JSON.parse(Buffer.from(token[1], 'base64')).sub"),
        fixed=_handler(
            "return require('jsonwebtoken').verify(token.join('.'), process.env.KEY).sub"
        ),
    ),
)
