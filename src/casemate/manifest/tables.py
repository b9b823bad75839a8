"""Every key a manifest may hold: the one source of validation, JSON Schema and reference.

Which keys exist, which are required and what their defaults are is taken from the model.
"""

from __future__ import annotations

from casemate.manifest.baseline_tables import BASELINE
from casemate.manifest.environment import MAX_VARIABLES, NAMES, VALUE
from casemate.manifest.error_tables import ERRORS
from casemate.manifest.grant_tables import GRANTS
from casemate.manifest.guard_tables import GUARD
from casemate.manifest.kinds import (
    Choice,
    Flag,
    PathTemplate,
    Pattern,
    RelativePath,
    Text,
    ValueKind,
)
from casemate.manifest.log_tables import LOGS
from casemate.manifest.numeric_kinds import Duration, Number, Size, Whole
from casemate.manifest.package_tables import PACKAGES
from casemate.manifest.recording_tables import RECORDINGS
from casemate.manifest.resource_tables import RESOURCES
from casemate.manifest.routes import METHODS
from casemate.manifest.structure import (
    Field,
    NamedTables,
    NamedValues,
    Table,
    TableArray,
    ValueArray,
    model_field,
)
from casemate.manifest.trigger_fields import CONTRACT
from casemate.manifest.trigger_tables import DELIVERY, TRIGGERS
from casemate.model.caps import MAX_OPEN_FILES
from casemate.model.function import (
    HANDLER_PATTERN,
    KIB,
    MIB,
    NAME_PATTERN,
    SUPPORTED_PYTHONS,
    Cors,
    EventFormat,
    Fresh,
    FunctionSpec,
    HttpTrigger,
    Isolation,
    Layout,
    Limits,
    Project,
    Trust,
)

MAX_FUNCTIONS = 500
MAX_ROUTES = 100

NAME = Pattern(
    NAME_PATTERN,
    "a name of 1 to 63 lower-case letters, digits and hyphens that starts with a letter "
    "and does not end with a hyphen",
    63,
)


def _limit(name: str, kind: ValueKind, description: str) -> Field:
    return model_field(Limits, name, kind, description)


_HEADER = Pattern(
    r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$", "the name of a header, such as authorization", 64
)

LIMITS = Table(
    "Limits",
    "Limits of one function. Every limit is enforced; none can be switched off.",
    (
        _limit(
            "memory",
            Size(16 * MIB, 64 * 1024 * MIB, 256 * MIB),
            "Memory of one instance and everything that it starts.",
        ),
        _limit("cpu", Number(0.05, 64), "Cores one instance may use."),
        _limit("processes", Whole(1, 1024), "Processes and threads of one instance."),
        _limit("open_files", Whole(16, MAX_OPEN_FILES), "Open files of each process."),
        _limit(
            "timeout",
            Duration(0.01, 900.0, 10.0),
            "Time from the start of the handler to its answer.",
        ),
        _limit("tmp", Size(64 * KIB, 16 * 1024 * MIB, 64 * MIB), "Space in the instance's /tmp."),
        _limit("request", Size(KIB, 100 * MIB, 6 * MIB), "Largest request body."),
        _limit("response", Size(KIB, 100 * MIB, 6 * MIB), "Largest response body."),
        _limit(
            "log",
            Size(KIB, 16 * MIB, 256 * KIB),
            "Output kept of one invocation; the rest is dropped, with a note.",
        ),
        _limit("concurrency", Whole(1, 1000), "Instances at the same time."),
        _limit(
            "queue",
            Whole(0, 10_000),
            "Invocations that may wait for an instance; the next one is refused.",
        ),
        _limit(
            "queue_time",
            Duration(0.01, 300.0, 5.0),
            "Time one invocation may wait for an instance.",
        ),
        _limit(
            "warm",
            Whole(0, 1000),
            "Instances that wait for a call whatever the rate, at most as many as concurrency. A "
            "node bounds those of all functions; a deploy that asks for more is refused.",
        ),
        _limit(
            "keep",
            Duration(1.0, 86_400.0, 86_400.0),
            "Time without an invocation until nothing of the function is left in memory. A node "
            "short of memory ends functions earlier, the cheapest to start again first.",
        ),
    ),
)

HTTP = Table(
    "HTTP trigger",
    "A route that invokes the function.",
    (
        model_field(
            HttpTrigger,
            "method",
            Choice(METHODS),
            'Method of the request; "*" stands for every one.',
        ),
        model_field(
            HttpTrigger,
            "path",
            PathTemplate(),
            "Path of the request. {name} matches one segment, {rest...} at the end all the rest.",
        ),
        Field(
            "contract",
            CONTRACT,
            "JSON Schema (2020-12) that the body must satisfy before any code runs: a file (.json) "
            "of at most 64 KiB. Without it strict default limits hold for a body that is JSON.",
        ),
        model_field(
            HttpTrigger,
            "asynchronous",
            Flag(),
            "True answers 202 with an id once the request is kept, and runs the function "
            "afterwards.",
        ),
        model_field(
            HttpTrigger,
            "delivery_headers",
            Flag(),
            "True lets callers without a token choose how their requests are kept, with "
            "Casemate-Delay, Casemate-Priority and Casemate-Max-Age.",
        ),
    ),
)

CORS = Table(
    "Cross-origin requests",
    "Which web pages of other origins may use the function's routes. The node answers preflights "
    "itself, and adds the headers to answers.",
    (
        Field(
            "origins",
            ValueArray(
                Pattern(
                    r"^(?:\*|https?://[a-z0-9.-]{1,253}(?::[0-9]{1,5})?)$",
                    'an origin such as "https://app.example.com", in lower case, or "*"',
                    280,
                ),
                1,
                50,
                "origins",
            ),
            'Allowed origins, such as "https://app.example.com"; "*" alone stands for all.',
        ),
        Field(
            "headers",
            ValueArray(_HEADER, 1, 50, "headers"),
            "Headers that a page may send besides the plain ones, such as authorization.",
        ),
        Field(
            "expose",
            ValueArray(_HEADER, 1, 50, "headers"),
            "Headers of answers that a page may read besides the plain ones.",
        ),
        model_field(
            Cors, "credentials", Flag(), "True lets pages send cookies; not with the origin *."
        ),
        model_field(
            Cors,
            "max_age",
            Duration(0.0, 86_400.0, 600.0),
            "How long browsers may remember a preflight.",
        ),
    ),
)

_FUNCTION_FIELDS = (
    model_field(
        FunctionSpec,
        "handler",
        Pattern(HANDLER_PATTERN, 'module:function, such as "thumbnail:handler"'),
        "What is called for each event, as module:function; the module is searched for in source.",
    ),
    model_field(FunctionSpec, "description", Text(1000), "What the function does, for people."),
    model_field(
        FunctionSpec,
        "python",
        Choice(SUPPORTED_PYTHONS),
        "Version of Python, in quotes; without it the newest supported one of the building host.",
    ),
    model_field(
        FunctionSpec,
        "source",
        RelativePath("a folder inside the project, relative to the manifest"),
        "Folder of the code, relative to the manifest.",
    ),
    model_field(
        FunctionSpec,
        "requirements",
        RelativePath("a file inside the project, relative to the manifest"),
        "Dependencies: a requirements file (.txt, .in), pyproject.toml, uv.lock or pylock.toml; "
        "without it there are none.",
    ),
    model_field(
        FunctionSpec,
        "isolation",
        Choice(tuple(choice.value for choice in Isolation)),
        '"request": no invocation finds anything of another one. "instance": processes are reused '
        "unchanged, and globals leak from one invocation to the next.",
    ),
    model_field(
        FunctionSpec,
        "trust",
        Choice(tuple(choice.value for choice in Trust)),
        '"normal": the module is imported once and instances are forked from there. "low": it is '
        "imported in each instance, after the last lock-down step.",
    ),
    model_field(
        FunctionSpec,
        "layout",
        Choice(tuple(choice.value for choice in Layout)),
        '"shared": it shares its memory layout and hash seed with other functions. "own": it '
        "shares them with none, at the cost of an interpreter's memory and a slower cold start.",
    ),
    model_field(
        FunctionSpec,
        "fresh",
        Choice(tuple(choice.value for choice in Fresh)),
        'With isolation = "request". "restored": where the host can, and unless the node forks '
        "(`casemate serve --no-restore`), the process of a call serves the next one after it was "
        'reset to its first state and compared with it. "process": each call has a fork of its '
        "own everywhere.",
    ),
    model_field(
        FunctionSpec,
        "public",
        Flag(),
        "True lets callers without a token invoke it; if it has routes and no contract of its own, "
        "only by its routes.",
    ),
    model_field(
        FunctionSpec,
        "internal",
        Flag(),
        "True lets only functions of the project with a grant invoke it. Not together with public "
        "or routes.",
    ),
    Field("grants", GRANTS, GRANTS.description),
    Field(
        "environment",
        NamedValues(VALUE, NAMES, MAX_VARIABLES, "Value of the variable."),
        "Variables of its environment, at most 4 KB altogether. Not for secrets.",
    ),
    GUARD,
    PACKAGES,
    Field("logs", LOGS, LOGS.description),
    ERRORS,
    Field("recordings", RECORDINGS, RECORDINGS.description),
    Field("baseline", BASELINE, BASELINE.description),
    Field("limits", LIMITS, LIMITS.description),
    Field(
        "contract",
        CONTRACT,
        "JSON Schema (2020-12) that the payload of a direct call must satisfy before any code "
        "runs: a file (.json) of at most 64 KiB. Without it strict default limits hold.",
    ),
    model_field(
        FunctionSpec,
        "event_format",
        Choice(tuple(choice.value for choice in EventFormat)),
        'Shape of its events: "casemate", or as AWS Lambda passes them: "aws", with requests in '
        'payload format 2.0, "aws-rest" in 1.0, "aws-alb" as from a load balancer.',
    ),
    Field("delivery", DELIVERY, DELIVERY.description),
    Field("http", TableArray(HTTP, MAX_ROUTES), "Routes that invoke it."),
    Field("cors", CORS, CORS.description),
    *TRIGGERS,
)

FUNCTION = Table("Function", "One function.", _FUNCTION_FIELDS)

PROJECT = Table(
    "Project",
    "Settings of the whole project.",
    (model_field(Project, "name", NAME, "Name of the project, part of every function's address."),),
)

MANIFEST = Table(
    "Casemate manifest",
    "casemate.toml: the functions of a project, their triggers, grants and limits, and the "
    "resources that keep their data.",
    (
        Field("project", PROJECT, PROJECT.description, required=True),
        Field(
            "function",
            NamedTables(FUNCTION, NAME, MAX_FUNCTIONS),
            "The functions by name, at least one.",
            required=True,
        ),
        *RESOURCES,
    ),
)
