"""All importers, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Iterator

from casemate.audit.importers.casemate_project import CasemateProject
from casemate.audit.importers.cloudformation import CloudFormation
from casemate.audit.importers.knative import Knative
from casemate.audit.importers.kubernetes import Kubernetes
from casemate.audit.importers.openfaas import OpenFaas
from casemate.audit.importers.port import Importer
from casemate.audit.importers.serverless_framework import ServerlessFramework
from casemate.audit.importers.source_code import read_code
from casemate.audit.importers.terraform import Terraform
from casemate.audit.model import Application
from casemate.audit.workspace import Workspace

IMPORTERS: tuple[Importer, ...] = (
    CasemateProject(),
    CloudFormation(),
    OpenFaas(),
    ServerlessFramework(),
    Knative(),
    Kubernetes(),
    Terraform(),
)


def applications_of_code(workspace: Workspace, *, alone: bool) -> Iterator[Application]:
    """Yield what code without a manifest is."""
    yield from read_code(workspace, alone=alone)
