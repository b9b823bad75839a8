"""The decision: authenticate, find, authorize."""

from __future__ import annotations

from casemate.admission.catalogue import Catalogue
from casemate.admission.keys import Keyring
from casemate.model.deployment import Version
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, RefusedError, Request

PUBLIC = "public"
_NO_KEY = "This needs a valid key."
_NO_FUNCTION = "There is no such function."


class Admission:
    """Admits requests. Whoever has no key learns nothing, not even what exists."""

    def __init__(self, catalogue: Catalogue, keyring: Keyring) -> None:
        """Decide by these."""
        self._catalogue = catalogue
        self._keyring = keyring

    def admit(self, request: Request) -> Admitted:
        """Return the admitted request. Raises RefusedError for all else."""
        if not isinstance(request, Request):
            raise TypeError("stage 2 takes a Request")
        raw = request.raw
        version = self._catalogue.find(raw.project, raw.function, raw.qualifier)
        principal = self._principal(raw.credential, version)
        if version is None:
            raise RefusedError(Outcome.NOT_FOUND, _NO_FUNCTION)
        return Admitted(request=request, version=version, principal=principal)

    def _principal(self, credential: str | None, version: Version | None) -> str:
        if credential is not None:
            # A wrong key is refused even where none is needed: its owner should learn of it.
            key = self._keyring.authenticate(credential)
            if key is None:
                raise RefusedError(Outcome.DENIED, _NO_KEY)
            return key.id
        if version is None or not version.spec.public:
            raise RefusedError(Outcome.DENIED, _NO_KEY)
        return PUBLIC
