"""`casemate keys`: the keys with which bundles are signed, and whose a project asks for."""

from __future__ import annotations

import base64
from typing import Annotated

import typer

from casemate.cli.attesting import key_name, token_id
from casemate.cli.builder_key import key_path, own_key
from casemate.cli.client import connect
from casemate.cli.operation_command import answered
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.sigstore_check import read_trusted_root
from casemate.cli.terminal import note, print_json, print_line, print_table
from casemate.cli.text import moment
from casemate.model.signing import BuilderKey, SigningRule
from casemate.operations.signing import (
    AddBuilderKey,
    BuilderKeys,
    ListBuilderKeys,
    RevokeBuilderKey,
    SetSigningRule,
    ShowSigningRule,
)

app = new_app("See, enrol and revoke the keys that sign bundles.")


def _state(key: BuilderKey) -> str:
    if key.revoked_at is None:
        return "in force"
    return f"revoked {moment(key.revoked_at)} by {key.revoked_by}"


@answered(app, ListBuilderKeys, examples="$ casemate keys ls\n$ casemate keys ls --json")
def ls(found: BuilderKeys) -> None:
    """List your keys, or all if you may see accounts."""
    print_table(
        ("id", "of", "name", "added", "state", "why"),
        [
            (key.id, key.principal, key.name, moment(key.added_at), _state(key), key.reason)
            for key in found.keys
        ],
        below=("state", "why"),
        empty="There are no keys; the first deploy from a machine makes one.",
    )


@command(app, examples="$ casemate keys add\n$ CASEMATE_BUILDER_KEY=ci.key casemate keys add")
def add(
    name: Annotated[
        str | None,
        typer.Option("--name", help="A name for it. Default: the machine's name."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Enrol this machine's key as one of yours, and print its id.

    The first deploy does this by itself. If there is no key, one is made in a file that only you
    can read; CASEMATE_BUILDER_KEY names another file.
    """
    from casemate.signing import proof_of

    key = own_key()
    with connect() as client:
        added = client.call(
            AddBuilderKey(
                public=base64.b64encode(key.public).decode(),
                proof=proof_of(key, token_id(client)),
                name=key_name() if name is None else name,
            )
        )
    if json:
        print_json(added)
        return
    print_line(added.id)
    note(f"The key in {key_path()} is one of {added.principal}.")


@answered(
    app,
    RevokeBuilderKey,
    examples="$ casemate keys revoke ID --reason 'the laptop was stolen' --since 2026-11-20",
    confirm="Revoke the key {it.id} of {call.url} for good?",
)
def revoke(revoked: BuilderKeys) -> None:
    """Revoke a key at once and for good.

    Nothing that it signs is deployed any more. With --since, what was deployed with it from then on
    is not started either; deploy it again with another key (--force), or roll back.
    """
    for key in revoked.keys:
        print_line(f"The key {key.id[:12]} of {key.principal} is revoked.")


def _print_rule(rule: SigningRule) -> None:
    if rule.keys:
        count = f"{rule.threshold} of {len(rule.keys)}"
        print_line(f"{rule.project}: {count} keys have to have signed:")
    else:
        print_line(f"{rule.project}: who deploys has to have signed.")
    for key in rule.keys:
        print_line(f"  {key}")
    if rule.signers:
        whose = "its own" if rule.trusted_root else "the public"
        print_line(f"One of these has to have signed with Sigstore, by keys of {whose} instance:")
    for signer in rule.signers:
        print_line(f"  {signer}")


@answered(app, ShowSigningRule, examples="$ casemate keys rule shop")
def rule(found: SigningRule) -> None:
    """Show whose signatures a project requires."""
    _print_rule(found)


@answered(
    app,
    SetSigningRule,
    name="set-rule",
    read={"trusted_root": read_trusted_root},
    examples="$ casemate keys set-rule shop --key ID --key ID --threshold 2\n"
    "$ casemate keys set-rule shop --signer GitHub:owner/repository:build.yml@refs/heads/main\n"
    "$ casemate keys set-rule shop",
)
def set_rule(changed: SigningRule) -> None:
    """Let a project require the signatures of these keys, whoever deploys, and of a signer.

    Holders of keys sign with `casemate sign`; without --key, whoever deploys must have signed. With
    --signer, one of the named signers must also have signed the bundle's digest with Sigstore, as
    builds without a key do; `casemate deploy --sigstore FILE` brings that signature. The command
    replaces the whole rule: what it does not name is no longer required.
    """
    _print_rule(changed)
