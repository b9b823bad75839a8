"""Who signed, by what the authority wrote into the certificate: a workflow, or an account.

The extensions are Fulcio's (1.3.6.1.4.1.57264.1). Only identity providers that are known here are
told from each other, since what an extension means is theirs.
"""

from __future__ import annotations

import hashlib

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from casemate.shown_text import printable
from casemate.sigstore.errors import AttestationError

_ARC = "1.3.6.1.4.1.57264.1"
_ISSUER, _SIGNER_URI, _SOURCE, _DIGEST, _REF, _CONFIG = 8, 9, 12, 13, 14, 18
_OF_WORKFLOWS = frozenset({"GitHub", "GitLab"})
_UTF8_STRING = 0x0C
_LONG = 0x80
_GITHUB = "https://token.actions.githubusercontent.com"
_GITLAB = "https://gitlab.com"
_GOOGLE = "https://accounts.google.com"
_CIRCLECI = "https://oidc.circleci.com"
_MAX_SHOWN = 200
_CIRCLECI_PROJECTS = "https://circleci.com/api/v2/projects/"


def identity_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the kind of a publisher and what names it, as package indexes name publishers.

    `("GitHub", "owner/repository", "publish.yml")`, `("GitLab", "group/project", "ci.yml")`,
    `("Google", "account@example")`, `("CircleCI", project's id, pipeline's id)`. Raises
    AttestationError for an identity of another provider, or one that is not whole.
    """
    issuer = _text(certificate, _ISSUER)
    if issuer == _GITHUB:
        return ("GitHub", *_workflow(certificate, "https://github.com/", "/.github/workflows/"))
    if issuer == _GITLAB:
        return ("GitLab", *_workflow(certificate, "https://gitlab.com/", "//"))
    if issuer == _GOOGLE:
        return ("Google", _address(certificate))
    if issuer == _CIRCLECI:
        uri = _text(certificate, _SIGNER_URI)
        project, middle, pipeline = uri.removeprefix(_CIRCLECI_PROJECTS).partition(
            "/pipeline-definitions/"
        )
        if uri.startswith(_CIRCLECI_PROJECTS) and middle and "/" not in project + pipeline:
            return ("CircleCI", project, pipeline)
        raise AttestationError("Its certificate names no pipeline of CircleCI.")
    raise AttestationError(
        f"Its signer was identified by {issuer[:100]!a}, which is not known here."
    )


def reference_of(certificate: x509.Certificate) -> str:
    """Return the branch or tag that was built, such as `refs/heads/main`; empty if none is told."""
    return _text(certificate, _REF, optional=True)


def is_signer(wanted: str, identity: tuple[str, ...], reference: str) -> bool:
    """Tell whether somebody is who is wanted: as `shown`, or `shown@reference`."""
    name = shown(identity)
    if identity[0] in _OF_WORKFLOWS:
        # Of no workflow the name ends like a reference: what is wanted has one meaning.
        return "@" not in name and wanted in (name, f"{name}@{reference}" if reference else name)
    return wanted == name


def shown(identity: tuple[str, ...]) -> str:
    """Return an identity as one word: what a lock, an exception and people have."""
    told = ":".join(part for part in identity if part)
    text = printable(told.replace(" ", "?").replace(",", "?"))
    if len(text) <= _MAX_SHOWN:
        return text
    # Not cut: two that begin alike would be one.
    return f"{text[: _MAX_SHOWN - 65]}#{hashlib.sha256(told.encode()).hexdigest()}"


def _workflow(certificate: x509.Certificate, host: str, between: str) -> tuple[str, str]:
    """Return repository and workflow, of `HOST REPOSITORY BETWEEN WORKFLOW @ COMMIT|REFERENCE`."""
    source, config = _text(certificate, _SOURCE), _text(certificate, _CONFIG)
    start = f"{source}{between}"
    if source.startswith(host) and config.startswith(start):
        for number in (_DIGEST, _REF):
            end = f"@{_text(certificate, number, optional=True)}"
            workflow = config[len(start) : -len(end)]
            if len(end) > 1 and config.endswith(end) and workflow:
                return source.removeprefix(host), workflow
    raise AttestationError("Its certificate names no workflow of the repository that it names.")


def _address(certificate: x509.Certificate) -> str:
    names = list(
        certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value  # type: ignore[call-overload]  # iterable, as all general names are
    )
    if len(names) == 1 and isinstance(names[0], x509.RFC822Name):
        return names[0].value
    raise AttestationError("Its certificate does not name one account.")


def _text(certificate: x509.Certificate, number: int, *, optional: bool = False) -> str:
    """Return one of Fulcio's extensions, a UTF8String in DER."""
    try:
        found = certificate.extensions.get_extension_for_oid(
            x509.ObjectIdentifier(f"{_ARC}.{number}")
        ).value
    except x509.ExtensionNotFound as error:
        if optional:
            return ""
        raise AttestationError("Its certificate does not say who signed.") from error
    data = found.public_bytes()
    size, start = (data[1], 2) if len(data) > 1 else (0, 0)
    if size & _LONG and size != _LONG:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    text = data[start:]
    if data[:1] != bytes([_UTF8_STRING]) or len(text) != size:
        raise AttestationError("What its certificate says of who signed cannot be read.")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise AttestationError("What its certificate says of who signed is not text.") from error
