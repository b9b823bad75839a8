"""What kind of text a file, an object or an answer is: by its name, its type, its first line."""

from __future__ import annotations

import re
from enum import Enum


class Kind(Enum):
    """Who reads a text, and so what is syntax in it."""

    CELLS = "cells of a table"
    TABBED = "cells of a table, with tabs between them"
    RECORDS = "records of a log"
    TRAIL = "records that are added to a file of no known kind"
    HEADED = "header fields and a body"
    FIELDS = "lines, each a field of its own"
    EVENTS = "events that a server sends, each of lines"
    SETTINGS = "lines, each a setting"
    BLOCKS = "directives that end with a semicolon"
    JSON = "JSON"
    PAGE = "page"
    XML = "XML document"
    SHELL = "script of a shell"
    SCHEDULE = "table of cron"
    RECIPES = "recipes of make"
    PYTHON = "Python code"
    SQL = "SQL statements"
    JAVASCRIPT = "JavaScript code"
    LUA = "Lua code"
    PERL = "Perl code"
    RUBY = "Ruby code"
    PHP = "PHP code"
    AWK = "awk program"
    CODE = "code"
    SHAPED = "parts with names, of a language that is not known"


_SUFFIXES = {
    Kind.CELLS: "csv",
    Kind.TABBED: "tsv tab",
    Kind.RECORDS: "log jsonl ndjson logfmt ltsv clf lp",
    Kind.HEADED: "eml mbox",
    Kind.FIELDS: "ics vcf ifb zone hosts htpasswd pgpass netrc m3u m3u8",
    Kind.SETTINGS: (
        "ini cfg properties yml yaml toml service timer socket mount target desktop network "
        "rules repo list env"
    ),
    Kind.BLOCKS: "conf nginx vhost",
    Kind.JSON: "json geojson webmanifest ipynb tfvars.json",
    Kind.PAGE: "html htm xhtml svg",
    Kind.XML: "xml rss atom plist kml gpx xsl xslt xsd",
    Kind.SHELL: "sh bash zsh ksh dash profile bashrc zshrc envrc",
    Kind.SCHEDULE: "cron crontab",
    Kind.RECIPES: "mk mak",
    Kind.PYTHON: "py pyw pth",
    Kind.SQL: "sql ddl dml psql mysql",
    Kind.JAVASCRIPT: "js mjs cjs ts jsx tsx",
    Kind.LUA: "lua",
    Kind.PERL: "pl pm",
    Kind.RUBY: "rb",
    Kind.PHP: "php phtml",
    Kind.AWK: "awk",
    Kind.CODE: "groovy gradle tf hcl r jl tcl",
}
_BY_SUFFIX = {name: kind for kind, names in _SUFFIXES.items() for name in names.split()}
_BY_NAME = {
    "access_log": Kind.RECORDS,
    "error_log": Kind.RECORDS,
    "syslog": Kind.RECORDS,
    "crontab": Kind.SCHEDULE,
    "makefile": Kind.RECIPES,
    "gnumakefile": Kind.RECIPES,
    "dockerfile": Kind.SETTINGS,
    "containerfile": Kind.SETTINGS,
    "procfile": Kind.SETTINGS,
    "jenkinsfile": Kind.CODE,
    "gemfile": Kind.RUBY,
    "authorized_keys": Kind.FIELDS,
    "known_hosts": Kind.FIELDS,
    "hosts": Kind.FIELDS,
    "hosts.allow": Kind.FIELDS,
    "hosts.deny": Kind.FIELDS,
    "passwd": Kind.FIELDS,
    "shadow": Kind.FIELDS,
    "fstab": Kind.FIELDS,
    "sudoers": Kind.FIELDS,
    ".htaccess": Kind.SETTINGS,
    ".gitconfig": Kind.SETTINGS,
    ".npmrc": Kind.SETTINGS,
    "requirements.txt": Kind.FIELDS,
    "robots.txt": Kind.FIELDS,
    "cmakelists.txt": Kind.CODE,
}
_TYPES = {
    "text/csv": Kind.CELLS,
    "application/csv": Kind.CELLS,
    "application/vnd.ms-excel": Kind.CELLS,
    "text/tab-separated-values": Kind.TABBED,
    "application/x-ndjson": Kind.RECORDS,
    "application/jsonl": Kind.RECORDS,
    "message/rfc822": Kind.HEADED,
    "text/event-stream": Kind.EVENTS,
    "text/calendar": Kind.FIELDS,
    "text/vcard": Kind.FIELDS,
    "application/vnd.apple.mpegurl": Kind.FIELDS,
    "application/x-mpegurl": Kind.FIELDS,
    "audio/mpegurl": Kind.FIELDS,
    "text/x-vcard": Kind.FIELDS,
    "application/json": Kind.JSON,
    "application/ld+json": Kind.JSON,
    "application/problem+json": Kind.JSON,
    "text/html": Kind.PAGE,
    "application/xhtml+xml": Kind.PAGE,
    "image/svg+xml": Kind.PAGE,
    "application/xml": Kind.XML,
    "text/xml": Kind.XML,
    "application/rss+xml": Kind.XML,
    "application/atom+xml": Kind.XML,
    "application/soap+xml": Kind.XML,
    "application/x-sh": Kind.SHELL,
    "text/x-shellscript": Kind.SHELL,
    "text/x-sh": Kind.SHELL,
    "text/x-python": Kind.PYTHON,
    "application/x-python": Kind.PYTHON,
    "application/sql": Kind.SQL,
    "text/x-sql": Kind.SQL,
    "application/javascript": Kind.JAVASCRIPT,
    "application/x-javascript": Kind.JAVASCRIPT,
    "application/ecmascript": Kind.JAVASCRIPT,
    "text/javascript": Kind.JAVASCRIPT,
    "application/yaml": Kind.SETTINGS,
    "application/x-yaml": Kind.SETTINGS,
    "text/yaml": Kind.SETTINGS,
    "text/x-yaml": Kind.SETTINGS,
    "application/toml": Kind.SETTINGS,
}
_PROGRAMS = {
    "sh": Kind.SHELL,
    "bash": Kind.SHELL,
    "dash": Kind.SHELL,
    "zsh": Kind.SHELL,
    "ksh": Kind.SHELL,
    "ash": Kind.SHELL,
    "python": Kind.PYTHON,
    "pypy": Kind.PYTHON,
    "perl": Kind.PERL,
    "ruby": Kind.RUBY,
    "php": Kind.PHP,
    "lua": Kind.LUA,
    "node": Kind.JAVASCRIPT,
    "nodejs": Kind.JAVASCRIPT,
    "deno": Kind.JAVASCRIPT,
    "awk": Kind.AWK,
    "gawk": Kind.AWK,
    "mawk": Kind.AWK,
    "make": Kind.RECIPES,
    "psql": Kind.SQL,
}
_SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-S[ \t]+)?)?([A-Za-z]{1,20})[\d.]*(?!\S)")
_ROTATED = re.compile(r"(?<=\.log)[._-]\d[\d._-]{0,30}\Z")
"""What a log's name has behind it once another was begun: `app.log.1`."""
_MAX_NAME = 255
_CRON = re.compile(r"(?:^|/)etc/cron\.d/[^/]+$|(?:^|/)cron\.d/[^/]+$")


def of_name(path: str) -> Kind | None:
    """Return the kind of a file or an object by its name; None if that tells nothing."""
    name = _ROTATED.sub("", path.rpartition("/")[2].lower()[-_MAX_NAME:])
    if _CRON.search(path) is not None:
        return Kind.SCHEDULE
    known = _BY_NAME.get(name)
    return known or (_BY_SUFFIX.get(name.rpartition(".")[2]) if "." in name else None)


def may_be_script(path: str) -> bool:
    """Tell whether a file has no suffix that tells what it is, so that its first line may."""
    return "." not in path.rpartition("/")[2].lstrip(".")


def of_first_line(text: str) -> Kind | None:
    """Return the kind of a script by the program that its first line names."""
    found = _SHEBANG.match(text[:200])
    return _PROGRAMS.get(found[1].lower()) if found is not None else None


def of_type(content_type: str) -> Kind | None:
    """Return the kind of a content type."""
    return _TYPES.get(content_type.partition(";")[0].strip().lower())


def of_program(name: str) -> Kind | None:
    """Return what a program reads."""
    return _PROGRAMS.get(name)
