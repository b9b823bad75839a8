"""`casemate serve`: run a node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.credentials import parse_url
from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, command, new_app

app = new_app()

DEFAULT_PORT = 8787

CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        metavar="FILE",
        help="Certificate and chain in PEM, in place of one of the node's own authority. Read "
        "again when it changes; needs --tls-key.",
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--tls-key", metavar="FILE", help="The key of --tls-cert, in PEM."),
]
NamesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tls-name",
        metavar="NAME",
        help="A further name or address by which clients reach the node, for the certificate of "
        "its own authority. Can be given several times.",
    ),
]
AuthorityOption = Annotated[
    bool,
    typer.Option(
        "--tls-new-authority",
        help="Make a new certificate authority. Clients that trust the old one have to log in "
        "again with the new fingerprint.",
    ),
]

MasterKeyOption = Annotated[
    str | None,
    typer.Option(
        "--master-key",
        metavar="SOURCE",
        help="Where the key that everything stored is encrypted with comes from: file:PATH, "
        "env:NAME, passphrase, passphrase-file:PATH, fd:NUMBER or command:PROGRAM. Without it a "
        "file below /etc/casemate/master-keys as root, else below ~/.config/casemate.",
    ),
]
PublicUrlOption = Annotated[
    str | None,
    typer.Option(
        "--public-url",
        metavar="URL",
        help="The address by which others know the node; the tokens of functions name it.",
    ),
]
RecoverOption = Annotated[
    bool,
    typer.Option(
        "--recover-owner",
        help="Make an owner's token that is valid for a day, for when no owner can get in any "
        "more. Whoever can start the node can do that; it is recorded.",
    ),
]
ProxyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--trusted-proxy",
        metavar="ADDRESS",
        help="Address or network of a reverse proxy, such as 127.0.0.1 or 10.0.0.0/24: its "
        "X-Forwarded-For says who asks. Nobody else's is read. Can be given several times.",
    ),
]
LearnOption = Annotated[
    bool,
    typer.Option(
        "--learn",
        help="Let functions use what they are not granted, and note it. For `casemate dev "
        "--learn`; on loopback only.",
    ),
]


def default_data_folder() -> Path:
    """Return where a node keeps its data: /var/lib/casemate as root, else in the home folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/casemate")
    configured = Path(os.environ.get("XDG_DATA_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".local/share"
    return base / "casemate"


@command(
    app,
    examples="""\
$ casemate serve
Outside loopback everything is TLS, with a certificate of the node's own authority
$ casemate serve --data /srv/casemate --host 0.0.0.0 --tls-name node.example.org
$ casemate serve --host 0.0.0.0 --port 443 --tls-cert fullchain.pem --tls-key privkey.pem
""",
)
def serve(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            help="Folder for everything the node keeps; without it /var/lib/casemate as root, "
            "else ~/.local/share/casemate.",
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; 0.0.0.0 and :: are all.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = DEFAULT_PORT,
    accept_risk: Annotated[
        list[str] | None,
        typer.Option(
            "--accept-risk",
            metavar="PROTECTION",
            help="Start although this protection, as `casemate doctor` names it, does not hold on "
            "this host. Can be given several times; each is recorded.",
        ),
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(
            "--python",
            metavar="MINOR",
            help="Offer only this version of Python, such as 3.12. Can be given several times.",
        ),
    ] = None,
    tls_cert: CertificateOption = None,
    tls_key: KeyOption = None,
    tls_name: NamesOption = None,
    tls_new_authority: AuthorityOption = False,
    master_key: MasterKeyOption = None,
    public_url: PublicUrlOption = None,
    trusted_proxy: ProxyOption = None,
    recover_owner: RecoverOption = False,
    learn: LearnOption = False,
    json: JsonOption = False,
) -> None:
    """Run a node.

    Functions are called, and the node is controlled, on one port. The first start makes an owner's
    token and shows it once. The node refuses to start without the protections it requires. SIGTERM
    and Ctrl-C end it without dropping a running call.

    On an address that others can reach everything is TLS; the start shows the fingerprint by
    which clients know the node. `--accept-risk plaintext` leaves that to a proxy in front.
    """
    if (tls_cert is None) != (tls_key is None):
        raise UsageError(
            "--tls-cert and --tls-key are only of use together.", next_step="Give both or neither."
        )
    if tls_cert is not None and (tls_name or tls_new_authority):
        raise UsageError(
            "A given certificate has its names already, and needs no authority of the node.",
            next_step="Leave out --tls-name and --tls-new-authority, or --tls-cert and --tls-key.",
        )
    from casemate.node.options import ServeOptions
    from casemate.node.serve import serve as run

    run(
        ServeOptions(
            data=data or default_data_folder(),
            host=host,
            port=port,
            accepted_risks=tuple(accept_risk or ()),
            pythons=tuple(python or ()),
            json=json,
            tls_certificate=tls_cert.absolute() if tls_cert else None,
            tls_key=tls_key.absolute() if tls_key else None,
            tls_names=tuple(tls_name or ()),
            tls_new_authority=tls_new_authority,
            master_key=master_key,
            public_url=parse_url(public_url) if public_url else None,
            recover_owner=recover_owner,
            learn=learn,
            trusted_proxies=tuple(trusted_proxy or ()),
        )
    )
