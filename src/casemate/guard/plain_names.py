"""Names of columns and fields that an event may choose, where they only put in order or tell apart.

One name ends nothing and opens nothing. What it can do is ask about what the code keeps to itself:
so a name that speaks of secrets or rights is none, nor one that a language reads as more than that.
"""

from __future__ import annotations

import keyword
import re
import unicodedata

MAX_NAME = 64
_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_]{{0,{MAX_NAME - 1}}}")
"""No other letters: some databases compare names without regard to accents."""
_WHOSE = frozenset(
    [
        *("owner", "owners", "user", "users", "username", "login", "uid", "account", "accounts"),
        *("tenant", "org", "organisation", "organization", "author", "customer", "member"),
    ]
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_HIDDEN = re.compile(
    r"passw|passphrase|passcode|pwd|secret|token|hash|salt|credential|apikey|accesskey|privatekey"
    r"|signingkey|privkey|signature|creditcard|cardnum|bankaccount|accountnumber|socialsec|cvv|cvc|ssn|session|cookie|totp|mfa|recovery|superuser"
    r"|dsn|conn(?:ection)?str|(?:database|db|redis|broker|mongo|postgres|amqp)ur[il]"
)
_HIDDEN_PARTS = frozenset(
    [
        *("pass", "pw", "key", "keys", "pin", "otp", "auth", "oauth", "jwt", "sid", "csrf"),
        *("private", "internal", "hidden", "confidential", "encrypted", "cipher", "digest"),
        *("admin", "root", "permission", "permissions", "privilege", "privileges", "ssh", "pgp"),
        *("salary", "wage", "income", "iban", "card", "passport", "tax", "medical", "diagnosis"),
    ]
)
_PERSONAL = frozenset(
    [
        *("email", "emails", "mail", "phone", "mobile", "fax", "address", "street", "birth"),
        *("birthday", "birthdate", "dob", "gender", "religion", "ethnicity", "health", "ip"),
        *("cost", "costs", "margin", "balance", "debt", "credit", "licence", "license"),
    ]
)
"""What is not handed out because somebody asked for it by name, though it may be compared with."""
_OF_ONE = frozenset(
    ["code", "codes", "coupon", "email", "login", "mail", "serial", "uid", "username", "voucher"]
)
"""What is asked for as a whole: who knows all of it is let in."""
_OF_ALL = frozenset(
    [
        *("airport", "area", "color", "colour", "country", "currency", "dial", "lang", "language"),
        *("post", "postal", "product", "region", "state", "status", "zip"),
    ]
)
"""What a code is of that lets nobody in: `zip_code`."""
_DECIDING = frozenset(
    [
        *("id", "ids", "uid", "gid", "uuid", "guid", "pk", "fk", "ref", "owner", "owners"),
        *("user", "users", "username", "login", "account", "accounts", "tenant", "org", "author"),
        *("organisation", "organization", "customer", "client", "member", "members", "creator"),
        *("by", "created", "updated", "modified", "deleted", "role", "roles", "group", "groups"),
        *("team", "scope", "scopes", "rank", "tier", "plan", "status", "state", "active"),
        *("enabled", "disabled", "verified", "confirmed", "approved", "accepted", "valid"),
        *("paid", "price", "prices", "amount", "total", "sum", "balance", "credit", "credits"),
        *("points", "quota", "max", "min", "discount", "fee", "fees", "cost", "costs", "score"),
        *("grade", "flag", "flags", "is", "has", "can", "may", "locked", "blocked", "banned"),
        *("visible", "public", "published", "version", "revision", "staff", "moderator"),
        *("trusted", "premium", "subscription", "expires", "expiry", "override", "allowed"),
        *("denied", "license", "licence", "bonus", "reward", "refund", "refunded", "fine"),
    ]
)
"""What says who, how much or whether: no column that an event has written by its name."""
_OF_RIGHTS = frozenset(
    [
        *("admin", "administrator", "root", "superuser", "staff", "moderator", "role", "roles"),
        *("permission", "permissions", "privilege", "privileges", "right", "rights", "scope"),
        *("scopes", "owner", "tenant", "verified", "approved", "balance", "credit", "credits"),
        *("password", "passwd", "pwd"),
    ]
)
_CATALOGUES = ("pg_", "sqlite_", "mysql_", "information_schema", "performance_schema", "dba_")
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
        _rowid_ rowid oid ctid xmin xmax cmin cmax tableoid rownum ora_rowscn all analyze and any
        array as asymmetric between binary both by case cast collate column connect cross current
        current_catalog current_date current_path current_role current_schema current_time
        current_timestamp current_user default delete distinct div drop else end escape except exec
        execute exists false fetch following for from full function glob group having if ilike in
        initially inner insert intersect interval into is isnull join lateral leading left level
        like limit localtime localtimestamp match minus mod natural not notnull null nulls of
        offset on only or order outer over partition pragma preceding prior procedure range raise
        regexp references returning right rlike row rows select session_user set similar some
        symmetric sysdate system_user systimestamp table then to trailing true truncate uid
        unbounded union unique unknown update user using utc_date utc_time utc_timestamp values
        when where window with within xor none lambda import def del class return yield await async
        global nonlocal assert try while
        """,
    )
)
"""Of SQL, its dialects and Python: what is no name there, or a value of its own."""


def is_plain(name: str) -> bool:
    """Tell whether a text is the name of a field, and of none that code is likely to hide."""
    return (
        _NAME.fullmatch(name) is not None and name.lower() not in _RESERVED and not is_hidden(name)
    )


def is_field(name: str) -> bool:
    """Tell whether a text names a field of Python's that code is not likely to hide."""
    return is_identifier(name) and not is_hidden(_without_accents(name))


def is_identifier(name: str) -> bool:
    """Tell whether a text names a field of Python's.

    What SQL keeps for itself (`first`, `level`, `order`) means nothing there, and letters of all
    scripts are told apart, as Python does after NFKC (PEP 3131).
    """
    if not name.isascii():
        name = unicodedata.normalize("NFKC", name)
        if len(name) > MAX_NAME or not name.isidentifier() or name[0] == "_":
            return False
        return not keyword.iskeyword(name)
    return _NAME.fullmatch(name) is not None and not keyword.iskeyword(name)


def _without_accents(name: str) -> str:
    if name.isascii():
        return name
    return "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))


def is_hidden(name: str) -> bool:
    """Tell whether a name speaks of secrets, rights, or a database's own catalogues."""
    low = name.lower()
    if low.startswith(("__", *_CATALOGUES)) or _HIDDEN.search(
        low.replace("_", "").replace("-", "")
    ):
        return True
    return any(part.lower() in _HIDDEN_PARTS for part in _PARTS.findall(name))


def is_secret(name: str) -> bool:
    """Tell whether a name speaks of what lets somebody in: passwords, tokens, where data is."""
    return _HIDDEN.search(name.lower().replace("_", "")) is not None


def is_whose(name: str) -> bool:
    """Tell whether a name is of whom something belongs to: all others' is one comparison away."""
    return any(part.lower() in _WHOSE for part in _PARTS.findall(name))


def is_of_one(name: str) -> bool:
    """Tell whether a column has a secret, or what only one has: a code, an address of mail."""
    return is_hidden(name) or any(p.lower() in _OF_ONE for p in _PARTS.findall(name))


def is_of_all(name: str) -> bool:
    """Tell whether a code is one that everybody has, such as that of a country."""
    return any(part.lower() in _OF_ALL for part in _PARTS.findall(name))


def says_whose(name: str) -> bool:
    """Tell whether a key says whose something is, or what somebody may do, and is no secret."""
    return (is_whose(name) or is_of_rights(name)) and not is_secret(name)


def is_shown(name: str) -> bool:
    """Tell whether a plain name may be chosen to be answered, not just compared with."""
    return is_plain(name) and not any(p.lower() in _PERSONAL for p in _PARTS.findall(name))


def is_entered(name: str) -> bool:
    """Tell whether a plain name is of what people enter, and may be chosen to be written."""
    return is_plain(name) and not any(p.lower() in _DECIDING for p in _PARTS.findall(name))


def is_of_rights(name: str) -> bool:
    """Tell whether a name is of what somebody may do, whose something is, or how much they have."""
    return any(part.lower() in _OF_RIGHTS for part in _PARTS.findall(name))
