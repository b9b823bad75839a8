"""The operations that are served over HTTP: each declaration, with what performs it."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

from starlette.requests import Request
from starlette.responses import Response

from casemate.api.performing import Call, Perform, Performers, resource_of, respond
from casemate.api.service import Service
from casemate.model.principal import Action, Resource
from casemate.operations.catalogue import operations_of
from casemate.operations.declaration import Decided
from casemate.operations.errors import DeclarationError
from casemate.operations.form import Form, form_of


@dataclass(frozen=True)
class Served:
    """One operation, and what performs it."""

    form: Form
    perform: Perform

    @property
    def id(self) -> str:
        """Name of it for programs."""
        return self.form.id

    @property
    def tag(self) -> str:
        """Part of the API that it belongs to."""
        return self.form.declared.tag

    @property
    def method(self) -> str:
        """HTTP method."""
        return self.form.method

    @property
    def path(self) -> str:
        """Path below the API's prefix, with `{parameters}`."""
        return self.form.path

    @property
    def action(self) -> Action | None:
        """What must be allowed."""
        return self.form.declared.action

    @property
    def anywhere(self) -> Action | None:
        """What must be allowed on one thing at least, whichever."""
        return self.form.declared.anywhere

    @property
    def authenticated(self) -> bool:
        """Whether it takes a credential."""
        return self.form.declared.decided is not Decided.OPEN

    def resource(self, request: Request) -> Resource:
        """Return what a request for it acts on."""
        return resource_of(self.form, request)

    async def endpoint(self, request: Request, service: Service) -> Response:
        """Answer a request for it, which was allowed."""
        call = Call(service, request)
        if self.action is not None:
            call.allowed.append((self.action, self.resource(request)))
        return await respond(self.form.kind, self.perform, call)


def all_served(module: ModuleType, performs: Performers) -> tuple[Served, ...]:
    """Return all that a module declares for HTTP; DeclarationError if one is not performed."""
    kinds = tuple(kind for kind in operations_of(module) if kind.declared.http)
    for kind in kinds:
        if kind not in performs.by_type:
            raise DeclarationError(f"Nothing performs {kind.__name__}.")
    return tuple(Served(form_of(kind), performs.by_type[kind]) for kind in kinds)
