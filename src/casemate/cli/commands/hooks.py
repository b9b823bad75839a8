"""`casemate hooks`: where repositories and storage servers tell functions of what happened."""

from __future__ import annotations

import re
import shlex
from importlib.resources import files
from typing import Annotated

import msgspec
import typer

from casemate.cli.client import connect
from casemate.cli.credentials import parse_url
from casemate.cli.deployed import live_version
from casemate.cli.errors import CommandError
from casemate.cli.operation_command import Call, answered, asked, name_of
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import print_json, print_table, print_text
from casemate.model.deployment import DeployedFunction
from casemate.model.trigger import RepositoryTrigger, S3Trigger
from casemate.operations.functions import ShowFunction

app = new_app("See web hooks; print the hook of a git repository.")

_SCRIPT = "post_receive.sh"
_MARK = re.compile("@(?:URL|REPOSITORY|AUTHORITY)@")
_PLAIN_GIT = "git"

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="Address at which the sender reaches the node, if it differs from the one used here.",
    ),
]


class HookShown(msgspec.Struct, frozen=True, kw_only=True):
    """What `casemate hooks ls --json` prints of each."""

    name: str
    provider: str
    """`github`, `gitlab`, `gitea`, `git`, or `s3`."""
    url: str
    secret: str
    """Name of the secret, as `casemate secrets` takes it."""
    events: tuple[str, ...]


@answered(
    app,
    ShowFunction,
    examples="$ casemate hooks ls notify\n$ casemate hooks ls shop/notify --json",
)
def ls(
    function: DeployedFunction, call: Call, *, url: UrlOption = None, json: JsonOption = False
) -> None:
    """List the web hooks of a function, and what to enter at the sender."""
    found = _hooks(function, call.name, call.url if url is None else url)
    if json:
        print_json(found)
        return
    print_table(
        ("hook", "from", "url", "secret", "events"),
        [(h.name, h.provider, h.url, h.secret, ", ".join(h.events) or "all") for h in found],
        empty=f"{call.name} has no web hooks; [[function.{function.name}.repository]] declares "
        "one.",
        below=("url", "secret", "events"),
    )


@asked(
    app,
    ShowFunction,
    examples="$ casemate hooks git notify >post-receive\n"
    "$ casemate hooks git notify --trigger code --repository https://git.example.org/shop",
)
def git(
    wanted: ShowFunction,
    *,
    trigger: Annotated[
        str | None, typer.Option("--trigger", help="The trigger, if there are several.")
    ] = None,
    repository: Annotated[
        str,
        typer.Option("--repository", help="The repository's name in events. Default: its path."),
    ] = "",
    url: UrlOption = None,
) -> None:
    """Print a post-receive hook that tells a function of each push.

    It is a shell script for the server that has the repository. The secret is not in it.
    """
    with connect() as client:
        address = client.url if url is None else url
        hooks = _hooks(client.call(wanted), name_of(wanted), address)
        authority = (client.credentials.ca or "") if url is None else ""
    found = [h for h in hooks if h.provider == _PLAIN_GIT]
    chosen = [h for h in found if trigger in (None, h.name)]
    if len(chosen) != 1:
        provider = f'provider = "{_PLAIN_GIT}"'
        if not found:
            raise CommandError(
                f"{name_of(wanted)} has no trigger with {provider}; the forges send their own "
                "web hooks.",
                next_step=f"`casemate hooks ls {name_of(wanted)}` shows what to enter there. For "
                "a repository on a server of yours, declare such a trigger and deploy.",
            )
        names = ", ".join(h.name for h in found)
        raise CommandError(
            f"{name_of(wanted)} has these triggers with {provider}: {names}.",
            next_step="Name one of them with --trigger.",
        )
    script = files("casemate.cli").joinpath(_SCRIPT).read_text(encoding="utf-8")
    values = {
        "@URL@": chosen[0].url,
        "@REPOSITORY@": repository,
        "@AUTHORITY@": authority.strip(),
    }
    # At once: a value may hold what stands for another, whose quotes would end its own.
    script = _MARK.sub(lambda mark: shlex.quote(values[mark[0]]), script)
    print_text(script.rstrip())


def _hooks(function: DeployedFunction, name: str, url: str) -> tuple[HookShown, ...]:
    live = live_version(function)
    address, project = parse_url(url), name.partition("/")[0]
    return tuple(
        HookShown(
            name=trigger.name,
            provider="s3" if isinstance(trigger, S3Trigger) else trigger.provider,
            url=f"{address}/hooks/{name}/{trigger.name}",
            secret=f"{project}/{trigger.secret}",
            events=trigger.events,
        )
        for trigger in (live.spec.triggers if live is not None else ())
        if isinstance(trigger, (RepositoryTrigger, S3Trigger))
    )
