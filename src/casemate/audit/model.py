"""An application as rules see it, whatever it was written for. Importers fill it, nothing else.

Texts may hold `${Name}` where only a deployment knows a value: the name of a resource of the same
template, or of what could not be resolved. None means not known, never `off`: rules keep silent
about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

import msgspec


class Platform(StrEnum):
    """What an application runs on."""

    AWS = "aws-lambda"
    CASEMATE = "casemate"
    OPENFAAS = "openfaas"
    KNATIVE = "knative"
    KUBERNETES = "kubernetes"
    GOOGLE = "google-cloud-functions"
    CODE = "code"
    """Files without a manifest of any platform that is known."""


class Place(msgspec.Struct, frozen=True, order=True):
    """Where something stands. The file is relative to what is audited, with `/`.

    What is in no file, as of a node, has line 0.
    """

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        """Return it as compilers print it; without a line where it is no file."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Unresolved(msgspec.Struct, frozen=True, order=True):
    """What was there and could not be read or known. It is told, and the rest is audited."""

    place: Place
    what: str


class Reach(StrEnum):
    """Who may make a trigger run its function."""

    PUBLIC = "public"
    AUTHENTICATED = "authenticated"
    INTERNAL = "internal"
    """Only what is granted inside the account or project."""
    UNKNOWN = "unknown"


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a function is run."""

    kind: str
    """`http`, `url`, `websocket`, `schedule`, `queue`, `topic`, `bucket`, `table`, `stream`,
    `event`, `repository`, `mail`, `iot`, `skill`, `identity`, `log`, `edge`, `invoke`, `other`."""
    reach: Reach
    how: str = ""
    """What a caller has to show: `AWS_IAM`, the name of an authorizer, `api key`."""
    method: str = ""
    path: str = ""
    source: str = ""
    """The asset that events come from, as its importer named it."""
    place: Place
    settings: Mapping[str, Any] = {}


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """One permission, expanded: what may be done to what, and when."""

    effect: str = "Allow"
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: tuple[str, ...] = ()
    """Who, in policies of resources: `*`, `service:NAME`, `arn:...`."""
    conditions: Mapping[str, Any] = {}
    excepted_actions: bool = False
    """True if `actions` are those that are left out (`NotAction`)."""
    excepted_resources: bool = False
    origin: str = ""
    """What brought it: `inline`, `S3CrudPolicy`, `AmazonS3FullAccess`, a connector."""
    place: Place

    @property
    def allows(self) -> bool:
        """Tell whether it allows and does not deny."""
        return self.effect == "Allow"


class Variable(msgspec.Struct, frozen=True):
    """One of a function's environment. The value is as far resolved as it could be."""

    name: str
    value: str
    place: Place


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """A package that the application asks for."""

    ecosystem: str
    """`pypi` or `npm`."""
    name: str
    wanted: str = ""
    """What is asked for, as it is written."""
    version: str = ""
    """The one version, where it is pinned or locked."""
    hashed: bool = False
    origin: str = ""
    """Address or path that it comes from, where that is not the registry."""
    development: bool = False
    place: Place


class Network(msgspec.Struct, frozen=True):
    """Where a function's process is attached. `attached` is None if that is not known."""

    attached: bool | None = False
    groups: tuple[str, ...] = ()


class Logging(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of what a function says. None: not known."""

    retention_days: int | None = None
    group: str = ""
    declared: bool = False
    """True if the group of its logs is in the template."""
    encrypted: bool | None = None
    level: str = ""


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """Something that functions use, or that leads to them. Settings are those of `kind`."""

    kind: str
    """`bucket`, `table`, `queue`, `topic`, `secret`, `api`, `database`, `cdn`, `key`, `user-pool`,
    `identity-pool`, `workflow`, `log-group`, `stream`, `network`, `cache`, `search`, `registry`,
    `parameter`, `alarm`, `role`, `other`."""
    name: str
    type: str = ""
    """The platform's own name of the type."""
    settings: Mapping[str, Any] = {}
    policy: tuple[Statement, ...] = ()
    """Who else may use it, by a policy of its own."""
    place: Place


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One function and all that is known of how it runs."""

    name: str
    platform: Platform
    runtime: str = ""
    handler: str = ""
    code: str | None = None
    """Folder of its code relative to what is audited; None if that does not exist."""
    inline: str = ""
    """Code that is in the template."""
    inline_place: Place | None = None
    """Where its first line stands; None if that is not known."""
    files: tuple[str, ...] = ()
    """Files of its code, relative to what is audited."""
    entry: str = ""
    """The file that its handler is in, of `files`."""
    triggers: tuple[Trigger, ...] = ()
    permissions: tuple[Statement, ...] = ()
    role: str = ""
    """Name of what it runs as; the same name means shared."""
    environment: tuple[Variable, ...] = ()
    timeout: float | None = None
    memory: int | None = None
    """MiB."""
    concurrency: int | None = None
    network: Network = Network()
    logging: Logging = Logging()
    settings: Mapping[str, Any] = {}
    """What only its platform has: `tracing`, `dead_letters`, `layers`, `package`, ..."""
    unknown: frozenset[str] = frozenset()
    """Fields and settings that are said, by something that could not be resolved."""
    place: Place

    @property
    def reach(self) -> Reach:
        """Return the widest reach that any trigger gives."""
        kinds = {trigger.reach for trigger in self.triggers}
        for wide in (Reach.PUBLIC, Reach.AUTHENTICATED, Reach.UNKNOWN):
            if wide in kinds:
                return wide
        return Reach.INTERNAL

    @property
    def language(self) -> str:
        """Return `python`, `javascript` or another, by the runtime and the entry."""
        for word, language in _LANGUAGES:
            if self.runtime.lower().startswith(word):
                return language
        return _SUFFIXES.get(self.entry.rpartition(".")[2], "")

    def setting(self, name: str) -> Any:
        """Return a setting of the platform, or None."""
        return self.settings.get(name)

    def knows(self, name: str) -> bool:
        """Tell whether what is said of a field or setting could be resolved."""
        return name not in self.unknown


_LANGUAGES = (
    ("python", "python"),
    ("node", "javascript"),
    ("go", "go"),
    ("java", "java"),
    ("dotnet", "dotnet"),
    ("ruby", "ruby"),
)
_SUFFIXES = {
    "py": "python",
    **dict.fromkeys(("js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx"), "javascript"),
}


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """What one manifest, template or folder declares."""

    name: str
    platform: Platform
    importer: str
    place: Place
    functions: tuple[Function, ...] = ()
    assets: tuple[Asset, ...] = ()
    variables: tuple[Variable, ...] = ()
    """Values that stand in the template itself: defaults of parameters, properties."""
    dependencies: tuple[Dependency, ...] = ()
    settings: Mapping[str, Any] = {}
    unresolved: tuple[Unresolved, ...] = ()

    def of_kind(self, *kinds: str) -> Iterator[Asset]:
        """Yield the assets of these kinds."""
        return (asset for asset in self.assets if asset.kind in kinds)

    def function(self, name: str) -> Function | None:
        """Return the function of that name, or None."""
        return next((each for each in self.functions if each.name == name), None)
