"""What is moved: every table with its columns. A test compares them with both engines' schemas."""

from __future__ import annotations

from typing import Final, NamedTuple

from casemate.data.postgresql.rotation import TABLES as SEALED_TABLES
from casemate.data.postgresql.rotation import Table as SealedTable


class Table(NamedTuple):
    """A table, the columns that both engines have, and the order in which it is read in pages."""

    name: str
    columns: tuple[str, ...]
    order: tuple[str, ...]
    least: tuple[object, ...]
    """What is before every row in that order."""
    content: str = ""
    """The column by whose length a page is bounded."""
    where: str = ""
    """Which rows are moved: what a dropped resource held goes away anyway."""
    counter: str = ""
    """The column whose numbers the engine counts."""
    lasting: bool = False
    """Whether no number may be used twice, not even that of a row that is gone."""

    @property
    def keys(self) -> frozenset[str]:
        """Columns with keys of items."""
        return KEYS.get(self.name, frozenset())

    @property
    def tokens(self) -> dict[str, str]:
        """Columns with texts that are only compared, and what `Terms.token` calls them."""
        return TOKENS.get(self.name, {})

    @property
    def sealed(self) -> SealedTable | None:
        """What of it is sealed where others run the database."""
        return SEALED.get(self.name)


def _table(
    name: str,
    columns: str,
    order: str,
    *least: object,
    content: str = "",
    where: str = "",
    counter: str = "",
    lasting: bool = False,
) -> Table:
    words = tuple(columns.split()), tuple(order.split())
    return Table(name, *words, least, content, where, counter, lasting)


KEYS: Final = {
    "item": frozenset({"key", "sort"}),
    "entry": frozenset({"key", "sort", "item_key", "item_sort"}),
}
TOKENS: Final = {
    "message": {"caller": "caller"},
    "deduplication": {"token": "deduplication"},
    "claim": {"token": "claim", "fingerprint": "fingerprint"},
}
SEALED: Final = {table.name: table for table in SEALED_TABLES}
TEXTS: Final = frozenset({"content_type", "sha256", "trigger", "event_type", "reason"})
"""Columns that are text, and bytes where they are sealed."""
KEYED: Final = frozenset({"message", "letter"})
"""Tables whose `key` is in clear on the one engine, and beside its token on the other."""
UNSEEN: Final = {"object": frozenset({"key_version", "file", "sealed"})}
"""Columns that are another value after the move: where content is, and its key."""

_OWNED: Final = "IN (SELECT id FROM resource)"
_INDEXES: Final = "IN (SELECT id FROM secondary WHERE tab IN (SELECT id FROM resource))"
_EVENT: Final = (
    "attempts priority sent_at expires_at key invocation qualifier labels attributes body"
)

PROJECT: Final = (
    _table(
        *("resource", "id kind name spec floor total number dead", "id", -1),
        counter="id",
        lasting=True,
    ),
    _table("secondary", "id tab name", "id", -1, where=f"tab {_OWNED}", counter="id", lasting=True),
    _table("meta", "name value", "name", "", content="value"),
    _table("position", "name value", "name", "", content="value"),
    _table(
        *("item", "id tab key sort revision modified_at expires_at labels value", "id", -1),
        content="value",
        where=f"tab {_OWNED}",
        counter="id",
    ),
    _table(
        "entry",
        "secondary key sort item_key item_sort",
        "secondary key sort item_key item_sort",
        *(-1, b"", b"", b"", b""),
        where=f"secondary {_INDEXES}",
    ),
    _table(
        "message",
        f"id queue state visible_at fence caller admitted {_EVENT}",
        *("id", -1),
        content="body",
        where=f"queue {_OWNED}",
        counter="id",
        lasting=True,
    ),
    _table(
        *("deduplication", "queue token message at", "queue token", -1, ""),
        where=f"queue {_OWNED}",
    ),
    _table(
        "letter",
        f"id queue died_at trigger event_type reason error_id {_EVENT}",
        *("id", -1),
        content="body",
        where=f"queue {_OWNED}",
        counter="id",
        lasting=True,
    ),
    _table(
        "status",
        "id invocation keep_until function state attempts accepted_at finished_at http_status "
        "content_type reason error_id result",
        *("id", -1),
        content="result",
        counter="id",
    ),
    _table(
        *("claim", "id function token fingerprint invocation claimant at keep_until", "id", -1),
        counter="id",
    ),
    _table(
        "object",
        "id bucket key revision present size modified_at content_type sha256 labels metadata "
        "key_version file sealed",
        *("id", -1),
        content="sealed",
        where="bucket IN (SELECT id FROM resource WHERE kind = 'bucket')",
        counter="id",
    ),
)
"""Each after those that its rows need."""
COUNTED: Final = {
    "resource": frozenset({"bytes"}),
    "message": frozenset({"node", "life"}),
}
"""Columns that triggers count, or that say who has leased: nobody has after a move."""
UNMOVED: Final = frozenset({"dropped", "kept", "kept_results", "revision", "holder"})
"""Tables of projects that are not moved: garbage, what triggers count, and who writes."""

CONTROL: Final = (
    _table("function_counter", "project function last_version", "project function", "", ""),
    _table(
        "version",
        "project function number digest spec created_at created_by",
        *("project function number", "", "", -1),
        content="spec",
    ),
    _table(
        *("alias_state", "id project function name changed_at trial", "id", -1),
        counter="id",
        lasting=True,
    ),
    _table(
        "alias_target",
        "state position project function version weight",
        "state position",
        *(-1, -1),
    ),
    _table(
        "user",
        "name password totp totp_last oidc_issuer oidc_subject enrolment_sha256 "
        "enrolment_expires_at created_at disabled_at made_with",
        *("name", ""),
    ),
    _table("user_roles", "user bindings", "user", "", content="bindings"),
    _table(
        "token",
        "sequence id name sha256 user bindings created_at created_by expires_at revoked_at "
        "last_used_at made_with",
        *("sequence", -1),
        content="bindings",
        counter="sequence",
    ),
    _table("policy_file", "name text changed_at changed_by", "name", "", content="text"),
    _table(
        "grant_approval",
        "sequence project function version added approved_by at",
        *("sequence", -1),
        content="added",
        counter="sequence",
        lasting=True,
    ),
    _table(
        "grant_use",
        "project function version grant_text action prefix first_at last_at count",
        *("project function version grant_text action prefix", "", "", -1, "", "", ""),
    ),
    # Which bucket and which databases there are, whoever moves here next has to say anew.
    _table(
        "node_value",
        "name value",
        "name",
        "",
        content="value",
        where="name NOT IN ('bucket', 'databases of projects') "
        "AND name NOT LIKE 'places of projects %'",
    ),
    _table(
        "builder_key",
        "id principal public name added_at revoked_at revoked_by reason since",
        *("id principal", "", ""),
    ),
    _table(
        "signing_rule",
        "project keys threshold signers trusted_root",
        *("project", ""),
        content="keys",
    ),
    _table(
        "attestation",
        "digest statement keys principal at provenance sbom used_at needed sigstore signing",
        *("digest statement", "", ""),
        content="provenance",
    ),
    _table("bundle_evidence", "digest seen", "digest", "", content="seen"),
    # What was used once must not be used again where it was moved to.
    _table("used_once", "kind name until", "kind name", "", ""),
)
"""Each after those that its rows refer to."""
UNMOVED_CONTROL: Final = frozenset(
    {"node", "node_incarnation", "exclusive", "revision", "topic", "bundle"}
    | {"vault_state", "vault_file", "login_attempt", "budget_share"}
    | {"shipped_records", "shipped_stream"}
    | {"proof", "proof_change"}
    | {"numbers_wanted", "node_numbers"}
    | {"invocation", "error", "log_line", "denial"}
)
"""Nodes say themselves that they are there; the newest incarnation is moved. What is exclusive is
found anew; rows of bundles come with their blobs. The vault's first node puts it there. What a node
alone has in memory of attempts and shares begins anew. Records are the recorder's."""
