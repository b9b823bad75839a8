"""What to do about a function that cannot be started, where its error alone does not say it."""

from __future__ import annotations

from typing import Final

_NEXT_STEPS: Final = {
    "ModuleNotFoundError": (
        "Name the package that has it in the function's requirements "
        '(`requirements = "requirements.txt"` in casemate.toml), or put its file into `source`; '
        "then deploy again. If it is a part of a package that is there, this version of the "
        "package does not fit this Python: ask for one that does."
    ),
    # boto3, whose clients are often made at import.
    "NoRegionError": (
        'Write AWS_DEFAULT_REGION = "eu-central-1", or the region that is meant, below '
        "[function.NAME.environment] in casemate.toml, and make clients in the handler: at import "
        "there are no secrets and no network. What is in the project's own buckets, tables and "
        "queues is reached by the context, without boto3."
    ),
}


def next_step(error_type: str, function: str) -> str | None:
    """Return what to do about an error of a type, with or without its module; None if it is told.

    `function` is the function's name, which the advice names.
    """
    step = _NEXT_STEPS.get(error_type.rpartition(".")[2])
    return step.replace("NAME", function) if step is not None else None
