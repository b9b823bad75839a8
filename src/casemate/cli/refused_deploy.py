"""Has the node record what `casemate deploy` refuses by itself, so that its journal has it too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from casemate.cli.client import NodeClient
from casemate.cli.grant_report import ApprovalNeededError
from casemate.cli.hole_check import JudgedBundle, KnownHolesError, LicencesRefusedError
from casemate.cli.names import FunctionName
from casemate.model.errors import CasemateError
from casemate.operations.functions import FunctionOf, NoteRefusedDeploy, RefusedFor

NOTE_SECONDS = 5.0
"""How long somebody whose deploy is refused here waits for the record of it."""
REFUSALS = (ApprovalNeededError, KnownHolesError, LicencesRefusedError)


@contextmanager
def noted(client: NodeClient, judged: Sequence[JudgedBundle]) -> Iterator[None]:
    """Have the node record a refusal of those, of functions that were `judged` by the time.

    Where it cannot, being gone or of an earlier release, the refusal stands all the same.
    """
    try:
        yield
    except REFUSALS as error:
        with suppress(CasemateError):
            _note(client, error, judged)
        raise


def _note(
    client: NodeClient,
    error: ApprovalNeededError | KnownHolesError | LicencesRefusedError,
    judged: Sequence[JudgedBundle],
) -> None:
    if isinstance(error, ApprovalNeededError):
        kind, names = RefusedFor.GRANTS, [name for name, _ in error.widening]
    else:
        licence = isinstance(error, LicencesRefusedError)
        kind = RefusedFor.LICENCE if licence else RefusedFor.ADVISORIES
        found = (one.function.partition("/") for one in judged if one.judged.refused)
        names = [FunctionName(project, function) for project, _, function in found]
    wanted = tuple(FunctionOf(project=one.project, function=one.function) for one in names)
    client.request(NoteRefusedDeploy(functions=wanted, kind=kind), seconds=NOTE_SECONDS)
