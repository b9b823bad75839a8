"""AWS CloudFormation and SAM templates, and what CDK synthesises."""

from __future__ import annotations

from collections.abc import Iterable

from casemate.audit.importers.aws.application import application_of
from casemate.audit.importers.aws.template import is_template, nested_files, read_template
from casemate.audit.importers.port import Source
from casemate.audit.model import Application, Place
from casemate.audit.workspace import Workspace


class CloudFormation:
    """Templates in YAML and JSON."""

    name = "cloudformation"
    by_folder = False

    def recognises(self, source: Source) -> bool:
        """Tell whether it has resources of CloudFormation."""
        return bool(source.documents) and is_template(source.documents[0])

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return the nested templates."""
        return nested_files(source.documents[0], source.file, workspace)

    def read(self, source: Source, workspace: Workspace) -> Iterable[Application]:
        """Return the one application that a template is."""
        document = source.documents[0]
        template = read_template(document, source.file, workspace)
        kind = "sam" if "Serverless" in str(document.get("Transform", "")) else self.name
        if ".template.json" in source.file and "cdk" in source.file:
            kind = "cdk"
        yield application_of(
            source.file,
            kind,
            template.resources,
            Place(source.file),
            workspace,
            parameters=template.parameters,
            unresolved=template.unresolved,
            shared=template.shared,
        )
