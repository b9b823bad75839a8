"""`casemate serve`: run a node."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from casemate.cli.credentials import parse_url
from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, command, new_app
from casemate.model.processes import MOST_GATEWAYS, RESTORES

if TYPE_CHECKING:
    from casemate.monitor.settings import MonitorSettings
    from casemate.supervisor.options import Bounds

app = new_app()

DEFAULT_PORT = 8787
AUTO = "auto"

DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="<path>",
        help="Folder for everything the node keeps. Default: /var/lib/casemate as root, otherwise "
        "~/.local/share/casemate.",
    ),
]
HostOption = Annotated[
    str, typer.Option("--host", help="Address to listen on; 0.0.0.0 and :: mean all addresses.")
]
PortOption = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 chooses a free one.")
]
RiskOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-risk",
        metavar="PROTECTION",
        help="Start although this protection does not hold on this host; `casemate doctor` has "
        "the names. Can be given several times; each is recorded.",
    ),
]
PythonOption = Annotated[
    list[str] | None,
    typer.Option(
        "--python",
        metavar="MINOR",
        help="Offer only this version of Python, such as 3.12. Can be given several times.",
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--tls-cert",
        metavar="FILE",
        help="Certificate and chain in PEM, instead of one from the node's own authority. Read "
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
        help="An additional name or address by which clients reach the node, for the certificate "
        "from its own authority. Can be given several times.",
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
        help="Source of the key that encrypts everything stored: file:PATH, env:NAME, passphrase, "
        "passphrase-file:PATH, fd:NUMBER, transit:PATH, kms:PATH or command:PROGRAM. "
        "Default: a file below /etc/casemate/master-keys as root, otherwise below "
        "~/.config/casemate.",
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
MaxMemoryOption = Annotated[
    str | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        help="The most memory that a manifest may ask for, for one instance. Default: half of the "
        "host's. `GET /api/v1/node` tells.",
    ),
]
MaxTmpOption = Annotated[
    str | None,
    typer.Option(
        "--max-tmp",
        metavar="SIZE",
        help="The most space in /tmp that a manifest may ask for. Default: a quarter of the "
        "host's memory.",
    ),
]
MaxInstancesOption = Annotated[
    int | None,
    typer.Option(
        "--max-instances",
        metavar="NUMBER",
        min=1,
        max=1000,
        help="The most simultaneous instances that a manifest may ask for. Default: one for each "
        "64 MiB of the host's memory.",
    ),
]
MaxWarmOption = Annotated[
    int | None,
    typer.Option(
        "--max-warm",
        metavar="NUMBER",
        min=0,
        max=10_000,
        help="The most instances that manifests may keep ready (`limits.warm`), of all functions "
        "together. Default: one for each 128 MiB of the host's memory, at most 1000.",
    ),
]
RestingMemoryOption = Annotated[
    str | None,
    typer.Option(
        "--resting-memory",
        metavar="SIZE",
        help="Memory that functions at rest may hold together, so that their next call starts "
        "nothing. Default: a quarter of the host's. The cheapest to start again go first.",
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
LossOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-loss",
        metavar="NAME",
        help="Start although this is missing or has lost acknowledged data: `store`, `journal`, "
        "`records`, an older `vault`, the data of a project (`data/PROJECT`), what is over by a "
        "`clock` that leapt ahead, or what an error of a shared database names. What is lost "
        "stays lost. Can be given several times.",
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="The PostgreSQL that this node shares with others: "
        "postgresql://USER@HOST:PORT/DATABASE, several hosts separated by commas; file:PATH "
        "for a file with the URL. Put a password there, or into the variable CASEMATE_STORE.",
    ),
]
ObjectsOption = Annotated[
    str | None,
    typer.Option(
        "--objects",
        metavar="URL",
        help="The S3-compatible store for objects and bundles that goes with --store: "
        "s3://BUCKET/PREFIX?endpoint=https://HOST; its keys are AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY. Also the variable CASEMATE_OBJECTS.",
    ),
]
DatabasesOption = Annotated[
    str | None,
    typer.Option(
        "--databases",
        metavar="FILE",
        help="Other databases in which projects may live beside that of --store: TOML with a line "
        'NAME = "postgresql://..." for each, or NAME = "file:PATH"; the same on all nodes. Also '
        "the variable CASEMATE_DATABASES.",
    ),
]
EncryptedDisksOption = Annotated[
    bool,
    typer.Option(
        "--encrypted-disks",
        help="State that the disks of the databases of --store and --databases are encrypted, "
        "which the node cannot check.",
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
OwnAddressOption = Annotated[
    list[str] | None,
    typer.Option(
        "--own-address",
        metavar="ADDRESS",
        help="Address that leads to this host by NAT, such as the public one of a virtual machine. "
        "Functions cannot connect to it. Can be given several times.",
    ),
]
GatewaysOption = Annotated[
    str,
    typer.Option(
        "--gateways",
        metavar="N|auto",
        help="Number of gateway processes: one decides everything, the others take connections "
        "and handle TLS and HTTP. auto: one below four cores or without TLS; otherwise that "
        "one and another for each four cores, at most four.",
    ),
]
LearnOption = Annotated[
    bool,
    typer.Option(
        "--learn",
        help="Let functions use what they are not granted, and record it. For `casemate dev "
        "--learn`; on loopback only.",
    ),
]


HostNamesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--host-name",
        metavar="NAME",
        help="Answer only requests for this host name, for this machine's addresses and "
        "`localhost`, and for hosts of projects. Default: any. Can be given several times.",
    ),
]
RestoreOption = Annotated[
    bool,
    typer.Option(
        "--restore/--no-restore",
        help="Where the host can, restore the process of a call when it is over, compare it with "
        "its original state, and use it for the next call; or fork one for each call.",
    ),
]
PlaybooksOption = Annotated[
    bool,
    typer.Option(
        "--playbooks/--no-playbooks",
        help="Respond to findings as playbooks say, at once or after a person approves; or only "
        "report them.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings in TOML: alert channels, exports, and where checkpoints of the journal go.",
    ),
]
RulesOption = Annotated[
    Path | None,
    typer.Option(
        "--rules",
        metavar="FOLDER",
        help="Your own rules of detection (Sigma, *.yml), in addition to Casemate's. Read when "
        "the monitor starts.",
    ),
]
FunctionIdsOption = Annotated[
    str | None,
    typer.Option(
        "--function-ids",
        metavar="START:COUNT",
        help="Host user and group ids for functions, if the node runs as root. Default: "
        "2100000000:65536. On an ordinary user's node, functions get that user's subordinate "
        "ids.",
    ),
]


def _size(option: str, text: str | None) -> int | None:
    """Return the bytes that an option stands for. Raises UsageError."""
    if text is None:
        return None
    from casemate.manifest.quantity import parse_size

    size = parse_size(text)
    if not size:
        raise UsageError(
            f"{option} is {text[:40]!r}, expected a size such as 512MB or 4GB.",
            next_step="Give a number and its unit: KB, MB or GB.",
        )
    return size


def _bounds(
    memory: str | None, tmp: str | None, instances: int | None, warm: int | None, rest: str | None
) -> Bounds:
    """Return what functions may have at most. Raises UsageError."""
    from casemate.supervisor.options import Bounds

    return Bounds(
        memory=_size("--max-memory", memory),
        tmp=_size("--max-tmp", tmp),
        instances=instances,
        warm=warm,
        resting=_size("--resting-memory", rest),
    )


def _monitor(config: Path | None, rules: Path | None) -> MonitorSettings:
    """Return what the settings file says, with the folder of rules that is given. SettingsError."""
    from msgspec.structs import replace

    from casemate.monitor.settings import default_settings, read_settings

    found = read_settings(config) if config is not None else default_settings()
    if rules is None:
        return found
    if not rules.is_dir():
        raise UsageError(f"--rules is {rules}, which is not a folder.", next_step="Name a folder.")
    return replace(found, rules=str(rules.absolute()))


def _require_sound(data: str | None, cert: Path | None, key: Path | None, *, owned: bool) -> None:
    """Raise UsageError for options that do not go together, or whose text is none.

    `owned` tells that something is asked of the node's own authority.
    """
    if (cert is None) != (key is None):
        raise UsageError(
            "--tls-cert and --tls-key must be given together.", next_step="Give both or neither."
        )
    if cert is not None and owned:
        raise UsageError(
            "A certificate of your own already has its names, and needs no authority of the node.",
            next_step="Leave out --tls-name and --tls-new-authority, or --tls-cert and --tls-key.",
        )
    if data == "":
        # As a path it would be the folder where this is run, whose rights would change.
        raise UsageError(
            "--data is empty, expected a folder.",
            next_step="Name it, or leave the option out. Is a shell variable unset?",
        )


def _gateways(text: str) -> int | None:
    """Return how many processes are wanted, None for as many as the host has cores for."""
    if text == AUTO:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
    if not 1 <= number <= MOST_GATEWAYS:
        raise UsageError(
            f"--gateways is {text[:40]!r}, expected {AUTO} or a number from 1 to {MOST_GATEWAYS}.",
            next_step="Leave it out: the node then takes as many as the host has cores for.",
        )
    return number


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
One of many nodes, which share their state
$ casemate serve --store file:/etc/casemate/store.url --objects s3://casemate --encrypted-disks
""",
)
def serve(
    data: DataOption = None,
    host: HostOption = "127.0.0.1",
    port: PortOption = DEFAULT_PORT,
    accept_risk: RiskOption = None,
    python: PythonOption = None,
    tls_cert: CertificateOption = None,
    tls_key: KeyOption = None,
    tls_name: NamesOption = None,
    tls_new_authority: AuthorityOption = False,
    master_key: MasterKeyOption = None,
    public_url: PublicUrlOption = None,
    function_ids: FunctionIdsOption = None,
    trusted_proxy: ProxyOption = None,
    own_address: OwnAddressOption = None,
    gateways: GatewaysOption = AUTO,
    store: StoreOption = None,
    objects: ObjectsOption = None,
    databases: DatabasesOption = None,
    encrypted_disks: EncryptedDisksOption = False,
    recover_owner: RecoverOption = False,
    accept_loss: LossOption = None,
    max_memory: MaxMemoryOption = None,
    max_tmp: MaxTmpOption = None,
    max_instances: MaxInstancesOption = None,
    max_warm: MaxWarmOption = None,
    resting_memory: RestingMemoryOption = None,
    learn: LearnOption = False,
    host_name: HostNamesOption = None,
    restore: RestoreOption = RESTORES,
    playbooks: PlaybooksOption = True,
    config: ConfigOption = None,
    rules: RulesOption = None,
    json: JsonOption = False,
) -> None:
    """Run a node.

    One port serves calls and control of the node, by TLS where others can reach it. It does not
    start without the protections that it requires. The first start shows an owner's token, once.
    """
    _require_sound(data, tls_cert, tls_key, owned=bool(tls_name or tls_new_authority))
    from casemate.cli.serving import become_supervisor
    from casemate.supervisor.options import ServeOptions, SharedOptions

    options = ServeOptions(
        data=Path(data) if data else default_data_folder(),
        host=host,
        port=port,
        accepted_risks=tuple(accept_risk or ()),
        function_ids=function_ids,
        pythons=tuple(python or ()),
        json=json,
        tls_certificate=tls_cert.absolute() if tls_cert else None,
        tls_key=tls_key.absolute() if tls_key else None,
        tls_names=tuple(tls_name or ()),
        tls_new_authority=tls_new_authority,
        master_key=master_key,
        public_url=parse_url(public_url) if public_url else None,
        shared=SharedOptions(store, objects, encrypted_disks, databases),
        recover_owner=recover_owner,
        accepted_losses=tuple(accept_loss or ()),
        bounds=_bounds(max_memory, max_tmp, max_instances, max_warm, resting_memory),
        learn=learn, restore=restore, playbooks=playbooks,
        host_names=tuple(host_name or ()),
        trusted_proxies=tuple(trusted_proxy or ()),
        own_addresses=tuple(own_address or ()),
        gateways=_gateways(gateways),
        monitor=_monitor(config, rules),
    )  # fmt: skip
    become_supervisor(options)
