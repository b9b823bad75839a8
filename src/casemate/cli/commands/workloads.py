"""`casemate workloads`: pipelines that sign in without a stored token."""

from __future__ import annotations

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import YELLOW, note, print_line, print_table
from casemate.operations.workloads import (
    AddWorkload,
    ListWorkloads,
    RemovedWorkload,
    RemoveWorkload,
    TrustedWorkloads,
    WorkloadView,
)

app = new_app("Let pipelines sign in with an ID token of their CI system.")

_NARROW = ("sub", "ref", "ref_protected", "environment", "job_workflow_ref")
"""Claims that tell a branch, an environment or a workflow of a repository from its others."""


@answered(app, ListWorkloads, examples="$ casemate workloads ls")
def ls(found: TrustedWorkloads) -> None:
    """List the workloads that the node trusts, and what their ID tokens must say."""
    print_table(
        ("name", "issuer", "audience", "claims", "roles", "minutes", "made by"),
        [
            (
                each.name,
                each.issuer,
                each.audience,
                " ".join(each.claims),
                " ".join(each.roles),
                str(each.minutes),
                each.created_by,
            )
            for each in found.workloads
        ],
        below=("issuer", "audience", "claims", "roles", "made by"),
        empty="No workload is trusted.",
    )


@answered(
    app,
    AddWorkload,
    examples="""\
A branch of a repository at GitHub
$ casemate workloads add shop-main --issuer https://token.actions.githubusercontent.com \\
    --audience https://node.example.org:8787 --claim repository=example/shop \\
    --claim ref=refs/heads/main --role developer@shop
A protected branch of a project at GitLab
$ casemate workloads add shop --issuer https://gitlab.com \\
    --audience https://node.example.org:8787 --claim project_path=example/shop \\
    --claim ref_protected=true --role developer@shop
""",
)
def add(workload: WorkloadView) -> None:
    """Trust a workload: an ID token with these claims gets these roles for some minutes.

    The roles are at most your own. A job signs in with `casemate login URL --workload NAME`.
    """
    print_line(f"The workload {workload.name} is trusted.")
    names = {claim.partition("=")[0] for claim in workload.claims}
    if not names & set(_NARROW):
        note(
            "Every branch and workflow of the repository can sign in: a claim such as "
            "ref=refs/heads/main or environment=production says which.",
            YELLOW,
        )


@answered(
    app,
    RemoveWorkload,
    examples="$ casemate workloads rm shop-main",
    confirm="Trust the workload {it.name} of {call.url} no more?",
)
def rm(removed: RemovedWorkload) -> None:
    """Stop trusting a workload. Its sessions end at once."""
    print_line(f"The workload {removed.name} is trusted no more; sessions ended: {removed.ended}.")
