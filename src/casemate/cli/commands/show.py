"""`casemate show`: one function in full."""

from __future__ import annotations

from casemate.cli.changes import routes_of, shown_limits
from casemate.cli.client import connect, path_of
from casemate.cli.commands.ls import shares
from casemate.cli.deployed import live_version
from casemate.cli.names import resolve
from casemate.cli.options import FunctionArgument, JsonOption, command, new_app
from casemate.cli.terminal import BOLD, DIM, YELLOW, print_json, print_line, print_table
from casemate.cli.text import moment
from casemate.contracts import uncovered
from casemate.model.deployment import DeployedFunction, Version
from casemate.model.trigger import kind_of

app = new_app()


@command(app, examples="$ casemate show hello\n$ casemate show shop/cart --json")
def show(function: FunctionArgument, json: JsonOption = False) -> None:
    """Show a function: versions, aliases, limits, routes."""
    name = resolve(function)
    with connect() as client:
        found = client.get(path_of("functions", *name[:2]), DeployedFunction)
        address = f"{client.url}/invoke/{name}"
    if json:
        print_json(found)
        return
    print_line(str(name), BOLD)
    print_line(f"  address    {address}")
    live = live_version(found)
    if live is not None:
        _print_spec(live)
    print_line()
    print_table(
        ("alias", "versions", "changed"),
        [(alias.name, shares(alias), moment(alias.changed_at)) for alias in found.aliases],
        empty="It has no alias, so that callers must name a version.",
    )
    print_line()
    print_table(
        ("version", "deployed", "by", "digest"),
        [
            (str(v.number), moment(v.created_at), v.created_by, v.digest)
            for v in reversed(found.versions)
        ],
        below=("digest",),
        empty="It has no versions.",
    )


def _print_spec(version: Version) -> None:
    spec = version.spec
    if spec.description:
        print_line(f"  about      {spec.description}")
    print_line(f"  handler    {spec.handler} on Python {spec.python or '?'}")
    print_line(f"  isolation  {spec.isolation.value}, trust {spec.trust.value}")
    if spec.public:
        print_line("  PUBLIC     everyone can call it without a token", YELLOW)
    for route in routes_of(spec):
        print_line(f"  route      {route}")
    for trigger in spec.triggers:
        print_line(f"  trigger    {trigger.name}: {kind_of(trigger).value}")
    without = ", ".join(uncovered(spec))
    if without:
        print_line(f"  contract   none for {without}: default limits hold", DIM)
    limits = ", ".join(f"{name} {value}" for name, value in shown_limits(spec.limits).items())
    print_line(f"  limits     {limits}")
