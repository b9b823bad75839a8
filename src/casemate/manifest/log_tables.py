"""What is masked in logs and errors, the keys under `[function.NAME.logs]`."""

from __future__ import annotations

from casemate.manifest.kinds import Choice, Text
from casemate.manifest.numeric_kinds import Duration, Size
from casemate.manifest.structure import Field, Table, TableArray, ValueArray, model_field
from casemate.masking import ALWAYS, BY_CHOICE
from casemate.model.function import KIB, MIB, Logs, Unmasked

UNMASKED = Table(
    "Unmasked kind",
    "A kind that the function's logs and errors are to hold in clear, which is an exception: it is "
    "recorded with the version.",
    (
        model_field(Unmasked, "kind", Choice(ALWAYS), "The kind."),
        model_field(
            Unmasked,
            "reason",
            Text(500, min_length=10),
            "Why whoever may read the logs may read these: recorded at the deploy.",
        ),
    ),
)

LOGS = Table(
    "Logs",
    "How long the function's records are kept, and what is masked in log lines and errors before "
    "they are stored: tokens of known services, "
    "private keys, passwords in addresses, e-mail addresses, payment cards and bank accounts.",
    (
        Field(
            "mask",
            ValueArray(Choice(BY_CHOICE), 1, len(BY_CHOICE), "Kind of number."),
            "Numbers of persons in a country that are masked as well.",
        ),
        model_field(
            Logs,
            "keep",
            Duration(60.0, 7 * 86_400.0, 7 * 86_400.0),
            "How long its invocations, errors and lines are kept.",
        ),
        model_field(
            Logs,
            "keep_bytes",
            Size(64 * KIB, 4096 * MIB, 4096 * MIB),
            "How much of them is kept; the oldest go.",
        ),
        Field(
            "unmasked",
            TableArray(UNMASKED, len(ALWAYS)),
            "Kinds that are not masked, each with its reason.",
        ),
    ),
)
