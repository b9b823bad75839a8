"""The decision: deny unless allowed, and tell nothing to whoever has no key."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from casemate.admission import Admission, Catalogue, Keyring, new_key
from casemate.model.deployment import KeyRole
from casemate.model.invocation import Outcome
from casemate.model.path import Finished, RefusedError
from casemate.seal import Seal
from support.core import MemoryStore, deployed, request, version

INVOKE, INVOKE_TEXT = new_key("invoke", KeyRole.INVOKE)
ADMIN, ADMIN_TEXT = new_key("admin", KeyRole.ADMIN)
REVOKED, REVOKED_TEXT = new_key("revoked", KeyRole.ADMIN)

CREDENTIALS = {
    "none": None,
    "empty": "",
    "invoke": f"Bearer {INVOKE_TEXT}",
    "admin": f"Bearer {ADMIN_TEXT}",
    "revoked": f"Bearer {REVOKED_TEXT}",
    "forged": f"Bearer cm_{ADMIN.id}_{'A' * 43}",
}
FUNCTIONS = {
    "private": ("t", "private", None),
    "public": ("t", "public", None),
    "unknown": ("t", "nothing", None),
    "unknown project": ("nothing", "private", None),
    "unknown version": ("t", "private", "99"),
    "unknown alias of a public one": ("t", "public", "nothing"),
}
ADMITTED = {
    ("invoke", "private"): INVOKE.id,
    ("admin", "private"): ADMIN.id,
    ("invoke", "public"): INVOKE.id,
    ("admin", "public"): ADMIN.id,
    ("none", "public"): "public",
}


@pytest.fixture(scope="module")
def admission() -> Admission:
    catalogue, keyring = Catalogue(), Keyring()
    catalogue.replace(
        [deployed(version(1, name="private")), deployed(version(1, name="public", public=True))]
    )
    keyring.replace([INVOKE, ADMIN, msgspec.structs.replace(REVOKED, revoked_at=2.0)])
    return Admission(catalogue, keyring)


def ask(admission: Admission, credential: str, function: str):
    project, name, qualifier = FUNCTIONS[function]
    return admission.admit(
        request(
            project=project,
            function=name,
            qualifier=qualifier,
            credential=CREDENTIALS[credential],
        )
    )


@pytest.mark.parametrize(
    ("credential", "function"), list(itertools.product(CREDENTIALS, FUNCTIONS))
)
def test_denied_unless_allowed(admission: Admission, credential: str, function: str) -> None:
    principal = ADMITTED.get((credential, function))
    if principal is not None:
        admitted = ask(admission, credential, function)
        assert admitted.principal == principal
        assert (admitted.version.function, admitted.version.number) == (function, 1)
        return
    with pytest.raises(RefusedError) as refused:
        ask(admission, credential, function)
    known = credential in ("invoke", "admin")
    assert refused.value.outcome is (Outcome.NOT_FOUND if known else Outcome.DENIED)


def sealed(admission: Admission, credential: str, function: str) -> tuple[object, ...]:
    with pytest.raises(RefusedError) as refused:
        ask(admission, credential, function)
    answer = Seal(MemoryStore()).close(
        Finished(
            outcome=refused.value.outcome,
            request=request(),
            detail=refused.value.message,
            status=refused.value.status,
        )
    )
    body = msgspec.json.decode(answer.body)
    assert len(body.pop("error_id")) == len("err_") + 24
    return answer.status, answer.headers, body


@pytest.mark.parametrize("credential", ["none", "empty", "revoked", "forged"])
def test_without_a_key_what_exists_looks_like_what_does_not(
    admission: Admission, credential: str
) -> None:
    private = sealed(admission, credential, "private")
    assert private[0] == 401
    for function in FUNCTIONS:
        if (credential, function) not in ADMITTED:
            assert sealed(admission, credential, function) == private


def test_a_failing_look_up_admits_nobody() -> None:
    class Broken(Keyring):
        def authenticate(self, authorization: str | None):
            raise OSError("the disk is gone")

    catalogue = Catalogue()
    catalogue.replace([deployed(version(1, public=True))])
    with pytest.raises(OSError, match="disk"):
        Admission(catalogue, Broken()).admit(request(credential="Bearer x"))
