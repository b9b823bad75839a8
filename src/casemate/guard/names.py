"""Names of calls that rewritten code notes or announces, whatever they belong to."""

from __future__ import annotations

SEEN = frozenset(("eval", "exec", "compile", "__import__"))
"""Built-in functions that run what they are given in the place of their call."""
EVAL_ALONE = "eval() without built-in functions"
"""How `eval` is announced whose text is given none."""
EVAL_OF_NAMES = "eval() of the names that the code gives"
"""How `eval` is announced whose text is given names of the code's in the place of all others."""
EVAL_IN = "eval() with what it is evaluated in"
"""How `eval` is announced whose text is given variables that are there when it is called: all."""
READS_ANSWER = "split() of an answer"
"""How it is announced that the code takes an answer apart which begins as HTTP has it."""
READS_HEAD = "split() at an empty line"
"""How it is announced that the code takes a text apart where the head of a message ends."""
WRITES_HEAD = "head that is put together"
"""How it is announced that the code has put the head of a message together."""
READS_LEVELS = "split() of a topic"
"""How it is announced that the code takes a text apart whose parts may be those of a topic."""
READS_PARAMETERS = "split() of parameters"
"""How it is announced that the code takes a text apart where a parameter of a form ends."""
READS_PARTS = "split() at a sign of the code's"
"""How it is announced that the code cuts a text at a sign that it may have put there."""
READS_TEXT = "text that a pattern takes apart"
"""How it is announced that the code looks for all places of a pattern in a text."""
READS_LINES = "lines of what was written"
"""How it is announced that the code takes a text apart that was written into memory."""
FILLS = "% of a mapping"
"""How it is announced that the code fills a template by the names of its fields."""
FILLS_MARK = "replace() of a mark"
"""How it is announced that the code fills a mark of a template of its own."""
MERGES = "dictionary that is put over another"
"""How it is announced that the code merges two dictionaries."""
SETS = "attribute that is set"
"""How it is announced that the code sets attributes by an object's dictionary."""
ASKS = "text that an object of the code's is asked by"
"""How it is announced that the code gives a text to a method of any name."""
PARTS = frozenset(("partition", "rpartition", "rsplit", "split"))
PLACES = frozenset(("find", "index", "rfind", "rindex"))
ENDS_OF_HEADS = frozenset(("\n\n", "\r\n\r\n", "\r\n", b"\n\n", b"\r\n\r\n", b"\r\n"))
"""Where such a head is taken apart; at the ends of its lines as well."""
OF_NUMBERS = frozenset(("bytes", "chr"))
"""Built-in functions that make texts of numbers."""
SHOWING = "repr"
"""The built-in function whose result has a text in quotes."""
NAMESPACES = frozenset(("globals", "locals", "vars"))
OWN_KINDS = frozenset(("format", "format_map", "replace", "translate"))
"""Methods of a text whose results are noted each in a way of its own."""

METHODS = frozenset(
    [
        "capitalize",
        "casefold",
        "center",
        "decode",
        "encode",
        "expandtabs",
        "format",
        "format_map",
        "fromhex",
        "group",
        "groupdict",
        "groups",
        "hex",
        "ljust",
        "lower",
        "lstrip",
        "partition",
        "removeprefix",
        "removesuffix",
        "replace",
        "rjust",
        "rpartition",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "strip",
        "swapcase",
        "title",
        "translate",
        "upper",
        "zfill",
    ]
)
MEASURING = frozenset(("bool", "float", "int", "len"))
"""Built-in functions whose result tells of a text, but is none and has no part of it."""
UNSEEN = METHODS - {"format", "format_map", "group", "groupdict", "groups"}
"""Those of which nothing is noted but the result: what a pattern found is checked by it as well."""
CHECKS = frozenset(
    [
        "isalnum",
        "isalpha",
        "isdecimal",
        "isdigit",
        "isidentifier",
        "isnumeric",
        "endswith",
        "startswith",
        "fnmatch",
        "fnmatchcase",
        "fullmatch",
        "match",
        "search",
        "startswith",
    ]
)
FUNCTIONS = frozenset(
    [
        "a2b_base64",
        "a2b_hex",
        "a2b_qp",
        "a85decode",
        "b16decode",
        "b32decode",
        "b64decode",
        "b32hexdecode",
        "b85decode",
        "capwords",
        "decode_header",
        "decodebytes",
        "decodestring",
        "decompress",
        "decrypt",
        "dedent",
        "escape_dn_chars",
        "escape_filter_chars",
        "escape_rdn",
        "fill",
        "fnmatch",
        "fnmatchcase",
        "literal_eval",
        "loads",
        "normalize",
        "normpath",
        "parse_qs",
        "parse_qsl",
        "safe_load",
        "shorten",
        "standard_b64decode",
        "sub",
        "subn",
        "to_bytes",
        "tobytes",
        "unescape",
        "unhexlify",
        "unpack",
        "unpack_from",
        "unpackb",
        "unquote",
        "unquote_plus",
        "safe_substitute",
        "substitute",
        "unquote_to_bytes",
        "urlsafe_b64decode",
    ]
)
OF_TABLES = frozenset(("delete_item", "put_item", "query", "scan", "update_item"))
"""Methods that are watched where they are given an expression by name, as tables of DynamoDB are.

`query` of pandas reads variables of its caller, which has to be the code itself.
"""
FETCHING = frozenset(("fetchall", "fetchmany", "fetchone"))
"""Methods of what `execute` of a database returns, which is no text then."""
WRITES = frozenset(("write", "writelines", "writev"))
"""Methods of files: what they are given is announced, where a file is watched."""
CALLED = METHODS | CHECKS | FUNCTIONS
WATCHED = frozenset(
    [
        "ChainMap",
        "Markup",
        "Parse",
        "ParseFile",
        "__getattribute__",
        "__setattr__",
        "__setitem__",
        "aggregate",
        "attrgetter",
        "compile",
        "count_documents",
        "delete_many",
        "delete_one",
        "exec_",
        "exec_params",
        "execute",
        "find",
        "find_one",
        "findall",
        "finditer",
        "findtext",
        "fullmatch",
        "getattr_static",
        "iterfind",
        "mark_safe",
        "match",
        "methodcaller",
        "prepare",
        "print",
        "reduce",
        "search",
        "sendall",
        "sendmail",
        "sendto",
        "send_prepare",
        "send_query",
        "send_query_params",
        "setattr",
        "setitem",
        "sub",
        "subn",
        "subscribe",
        "update",
        "update_many",
        "update_one",
        "xinclude",
        "xpath",
    ]
)
"""Names of methods of C types that a sink watches, and of functions that it watches only here."""

NAMES = (
    *("note", "long", "turned", "known", "len", "type", "str", "plain", "affirmed"),
    *("levels", "parameters", "partition", "rpartition", "split_levels", "split_parameters"),
    *("admitted", "equal", "split", "words", "groups", "group", "item"),
    *("asked", "matched_by", "matched_with"),
    *("joined_by", "batched", "join", "add", "augment", "short", "grows", "percent"),
    *("numbered", "showing", "shown", "joined", "replaced", "call", "called", "caught"),
    *("given", "cut", "cut_again", "member", "found", "all_found", "same", "differs", "matched"),
    *("seen", "watched", "wrote", "bound", "merged", "united", "told"),
)
"""What rewritten code calls, by its built-in names without prefix and suffix."""
