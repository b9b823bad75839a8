"""Rules about JavaScript and TypeScript: by their syntax, or by lines that are no comments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import msgspec

from casemate.audit.code.reading import owned_files
from casemate.audit.finding import Severity
from casemate.audit.model import Place
from casemate.audit.rule import Check, Hit, Risk, Subject
from casemate.audit.rules.code_entries import CodeEntries
from casemate.audit.rules.common import hit
from casemate.audit.rules.examples import javascript
from casemate.audit.rules.owners import owner_of_file
from casemate.audit.rules.scripts import scripts_of

_SUFFIXES = (".js", ".mjs", ".cjs", ".ts", ".jsx", ".tsx")
_COMMENT = re.compile(r"^\s{0,200}(?://|\*|/\*)")
_PYTHON_COMMENT = re.compile(r"^\s{0,200}#")
_LONG = 2_000


def _look(pattern: re.Pattern[str], text: str, near: str = "") -> Check:
    """Return a check of lines that match; `near` has to be in the file."""

    def check(subject: Subject) -> Iterator[Hit]:
        for file, function in owned_files(subject.application, _SUFFIXES):
            code = subject.code.text(file)
            if code is None or (near and near not in code):
                continue
            for number, line in lines_of(subject, file, code):
                match = pattern.search(line)
                if match is not None:
                    place = Place(file, number, match.start() + 1)
                    owner = owner_of_file(subject, file, function)
                    yield hit(owner, text, place, f"{file} {line.strip()[:120]}")

    return check


def lines_of(subject: Subject, file: str, code: str) -> list[tuple[int, str]]:
    """Return the lines that are looked at, with their numbers; that one is too long is told."""
    found: list[tuple[int, str]] = subject.code.once(
        "lines", file, partial(_lines, subject, file, code)
    )
    return found


def _lines(subject: Subject, file: str, code: str) -> list[tuple[int, str]]:
    comment = _PYTHON_COMMENT if file.endswith(".py") else _COMMENT
    lines = [(n, line) for n, line in enumerate(code.split("\n"), 1) if not comment.match(line)]
    long = next((number for number, line in lines if len(line) >= _LONG), None)
    if long is not None:
        subject.workspace.note(file, f"a line of {_LONG} characters or more is not audited", long)
    return [(number, line) for number, line in lines if len(line) < _LONG]


def seen_at(name: str) -> Check:
    """Return a check of what is looked for in the syntax of every file."""

    def check(subject: Subject) -> Iterator[Hit]:
        for function, start, text, found in scripts_of(subject).files():
            for seen in found.get(name, ()):
                at = text.split("\n", seen.line)[seen.line - 1 : seen.line]
                place = Place(start.file, seen.line + start.line - 1, seen.column)
                line = at[0].strip()[:120] if at else ""
                owner = owner_of_file(subject, start.file, function)
                yield hit(owner, seen.text, place, f"{start.file} {line}")

    return check


_MAX_STATEMENT = 4_000


def _either(*checks: Check) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        for each in checks:
            yield from each(subject)

    return check


def _milder(check: Check) -> Check:
    def milder(subject: Subject) -> Iterator[Hit]:
        for each in check(subject):
            yield msgspec.structs.replace(each, severity=Severity.MEDIUM)

    return milder


def _where_not(by_lines: Check, *names: str) -> Check:
    """Return a check by lines, of those where the syntax has not shown it already."""

    def check(subject: Subject) -> Iterator[Hit]:
        known = {
            (each.place.file, each.place.line) for name in names for each in seen_at(name)(subject)
        }
        for each in by_lines(subject):
            if (each.place.file, each.place.line) not in known:
                yield each

    return check


_SIGNED = re.compile(r"jwt\.(?:sign|verify)\([^\n,]{1,200},\s{0,3}[\"'][^\"'\n]{3,100}[\"']")


def _joined(pattern: re.Pattern[str]) -> Check:
    """Return a check of statements of SQL that are put together of more than what is written."""

    def check(subject: Subject) -> Iterator[Hit]:
        for each in _look(pattern, "an SQL statement is put together from texts")(subject):
            lines = (subject.code.text(each.place.file) or "").split("\n")
            begin = lines[each.place.line - 1][each.place.column - 1 :]
            below = "\n".join(lines[each.place.line : each.place.line + 40])
            text = f"{begin}\n{below}"[:_MAX_STATEMENT].partition("(")[2]
            if not _is_written_out(_ESCAPED.sub("''", text)):
                yield each

    return check


_ESCAPED = re.compile(
    r"(?<![\w.])[A-Za-z_$][\w$.]{0,60}\.escape(?:Id|Literal|Identifier)?\([^()'\"`]{0,200}\)"
)
"""A value as a client of a database writes it into a statement."""


def _is_written_out(text: str) -> bool:
    """Tell whether an argument is quoted texts and `+` between them alone."""
    quote, at = "", 0
    while at < len(text):
        sign = text[at]
        if quote:
            at += sign == "\\"
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
        elif sign in ",)":
            return True
        elif sign != "+" and not sign.isspace():
            return False
        at += 1
    return False


_UNCHECKED = _look(
    re.compile(
        r"rejectUnauthorized\s{0,3}:\s{0,3}false|NODE_TLS_REJECT_UNAUTHORIZED\s{0,3}[\"'\]]{0,2}\s{0,3}=\s{0,3}[\"']?0"
    ),
    "certificates are not checked",
)


def _unchecked(subject: Subject) -> Iterator[Hit]:
    """Yield where certificates are not checked: milder where it takes a setting that is not set."""
    optional = {
        (each.place.file, each.place.line) for each in seen_at("optional certificates")(subject)
    }
    for each in _UNCHECKED(subject):
        milder = (each.place.file, each.place.line) in optional
        yield msgspec.structs.replace(
            each,
            severity=Severity.MEDIUM if milder else None,
            cause=each.place.file,  # ways of one connection
        )


_rule = CodeEntries[Check](lambda check: check, javascript)


def _handler(body: str) -> str:
    return f"exports.handler = async (event) => {{\n  {body}\n}}"


_L = Severity


def _caught(answer: str) -> str:
    return _handler(
        f"try {{\n    return await work(event)\n  }} catch (err) {{\n    {answer}\n  }}"
    )


_ID = "console.error(err)\n    return { statusCode: 500, body: event.requestContext.requestId }"

RULES = (
    _rule(
        "JS-001",
        "Whole events in logs",
        Risk.MONITORING,
        "SAS-03",
        532,
        _L.LOW,
        "Events contain passwords, tokens in headers and personal data. Everybody who reads "
        "logs gets them.",
        "Log only the fields that an investigation needs.",
        seen_at("logged events"),
        _handler("console.log(event)"),
        _handler("console.log(event.requestContext.requestId)"),
        by_reach=True,
    ),
    _rule(
        "JS-002",
        "Answer with a trace",
        Risk.ERRORS,
        "SAS-06",
        209,
        _L.MEDIUM,
        "A trace reveals the code, its paths and libraries.",
        "Answer with an id, and log the error under that id.",
        seen_at("told traces"),
        _caught("return { statusCode: 500, body: err.stack }"),
        _caught(_ID),
        by_reach=True,
    ),
    _rule(
        "JS-003",
        "Text that is executed as code",
        Risk.INPUT,
        "SAS-01",
        95,
        _L.MEDIUM,
        "Whoever can influence the text can run code as the function.",
        "Parse only what is expected: JSON.parse, a table of functions.",
        seen_at("evaluated"),
        _handler("return eval(event.expression)"),
        _handler("return JSON.parse(event.expression)"),
        "T1059.007",
        by_reach=True,
    ),
    _rule(
        "JS-004",
        "Command line built at run time",
        Risk.INPUT,
        "SAS-01",
        78,
        _L.MEDIUM,
        "Whoever can influence it can run commands as the function.",
        "Use execFile or spawn with a list.",
        _look(
            re.compile(
                r"(?<![\w.])(?:child_process\.|cp\.)?exec(?:Sync)?\(\s{0,3}(?:`[^`\n]{0,200}\$\{|[\"'][^\"'\n]{0,200}[\"']\s{0,3}\+)"
            ),
            "a shell runs a command line that is built at run time",
            "child_process",
        ),
        "const { exec } = require('child_process')\n" + _handler("exec(`convert ${event.name}`)"),
        "const { execFile } = require('child_process')\n"
        + _handler("execFile('convert', ['--', event.name])"),
        "T1059.004",
        by_reach=True,
    ),
    _rule(
        "JS-005",
        "Certificates are not checked",
        Risk.RESPONSIBILITY,
        "SAS-03",
        295,
        _L.HIGH,
        "Anybody on the network path can pose as the server, and read and change everything.",
        "Remove it, and give the client the right certificate authority (ca:).",
        _unchecked,
        _handler("https.get({ host: 'a.example', rejectUnauthorized: false })"),
        _handler("https.get({ host: 'a.example' })"),
        "T1557",
    ),
    _rule(
        "JS-006",
        "Deserialising data that makes functions",
        Risk.INPUT,
        "SAS-08",
        502,
        _L.HIGH,
        "node-serialize and similar packages run functions that are in the data.",
        "Use JSON.parse.",
        _look(
            re.compile(
                r"(?:serialize|serialise)\.unserialize\(|(?:require\([\"']node-serialize[\"']\))"
            ),
            "data is turned into functions",
        ),
        "const serialize = require('node-serialize')\n"
        + _handler("return serialize.unserialize(event.body)"),
        _handler("return JSON.parse(event.body)"),
        "T1059.007",
    ),
    _rule(
        "JS-007",
        "Signatures of tokens are not checked",
        Risk.PERMISSIONS,
        "SAS-02",
        347,
        _L.HIGH,
        "Anybody can write a token with any contents.",
        "Use jwt.verify with the key and the algorithms.",
        _look(
            re.compile(
                r"algorithms?\s{0,3}:\s{0,3}\[?\s{0,3}[\"']none[\"']|ignoreSignature\s{0,3}:\s{0,3}true"
            ),
            "tokens without a signature are accepted",
        ),
        _handler("return jwt.verify(event.token, key, { algorithms: ['none'] })"),
        _handler("return jwt.verify(event.token, key, { algorithms: ['RS256'] })"),
        "T1550.001",
    ),
    _rule(
        "JS-008",
        "Tokens that can be guessed",
        Risk.PERMISSIONS,
        "SAS-02",
        338,
        _L.MEDIUM,
        "After a few outputs of Math.random, later ones can be computed.",
        "Use crypto.randomBytes or crypto.randomUUID.",
        _either(
            seen_at("guessable"),
            _where_not(
                _look(
                    re.compile(
                        r"(?i:(?:token|secret|password|otp|session_?id|nonce|api_?key))\w{0,20}\s{0,3}=\s{0,3}[^\n;]{0,80}Math\.random\("
                    ),
                    "it is made from numbers that can be guessed",
                ),
                "guessable",
            ),
        ),
        _handler("const token = Math.random().toString(36)"),
        _handler("const token = crypto.randomUUID()"),
    ),
    _rule(
        "JS-009",
        "Environment in logs or answers",
        Risk.MONITORING,
        "SAS-03",
        532,
        _L.HIGH,
        "The credentials of the function's role are in its environment.",
        "Name only the variables that are needed.",
        seen_at("told environment"),
        _handler("console.log(process.env)"),
        _handler("console.log(process.env.STAGE)"),
        "T1552.005",
    ),
    _rule(
        "JS-010",
        "Answers for pages of any site",
        Risk.RESPONSIBILITY,
        "SAS-06",
        942,
        _L.MEDIUM,
        "An attacker's page can read the answers with the rights of whoever opens the page.",
        "Name the origin, or do not allow credentials.",
        _either(
            seen_at("open answers"),
            _where_not(
                _look(
                    re.compile(
                        r"Allow-Origin[\"']\s{0,3}:\s{0,3}[\"']\*[\"'][^\n]{0,80}Allow-Credentials[\"']\s{0,3}:\s{0,3}[\"']?true"
                    ),
                    "pages of any site may read it with cookies",
                ),
                "open answers",
            ),
        ),
        _handler(
            "return { headers: { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': true } }"
        ),
        _handler("return { headers: { 'Access-Control-Allow-Origin': 'https://shop.example' } }"),
    ),
    _rule(
        "JS-011",
        "Query built by concatenation",
        Risk.INPUT,
        "SAS-01",
        89,
        _L.MEDIUM,
        "Whoever can influence the text can read and change other rows.",
        "Pass values as parameters: query('... = $1', [id]).",
        _joined(
            re.compile(
                r"\.(?:query|execute)\(\s{0,3}(?:`\s{0,3}(?i:select|insert|update|delete)\b[^`\n]{0,300}\$\{(?:event|body|params|req|query|request|input|id|name|user)|[\"']\s{0,3}(?i:select|insert|update|delete)\b[^\"'\n]{0,300}[\"']\s{0,3}\+)"
            ),
        ),
        _handler("return db.query(`SELECT * FROM a WHERE id = ${event.id}`)"),
        _handler("return db.query('SELECT * FROM a WHERE id = $1', [event.id])"),
        "T1190",
        by_reach=True,
    ),
    _rule(
        "JS-012",
        "Token signed with a known key",
        Risk.PERMISSIONS,
        "SAS-03",
        321,
        _L.HIGH,
        "Whoever reads the code can sign tokens for any user.",
        "Read the key from a secret.",
        _where_not(
            _look(_SIGNED, "tokens are signed with a key that is in the code"),
            *("session key", "stand-in key"),
        ),
        _handler("return jwt.sign({ sub: 'me' }, 'hunter2-key')"),
        _handler("return jwt.sign({ sub: 'me' }, process.env.KEY)"),
        "T1552.001",
    ),
    _rule(
        "JS-013",
        "Answer with the text of an error",
        Risk.ERRORS,
        "SAS-06",
        209,
        _L.LOW,
        "Error texts reveal queries, paths, hosts and keys of tables to anybody who causes "
        "an error.",
        "Answer with an id, and log the error under that id.",
        seen_at("told errors"),
        _caught("return { statusCode: 500, body: JSON.stringify({ error: err.message }) }"),
        _caught(_ID),
        by_reach=True,
    ),
    _rule(
        "JS-014",
        "Secrets in logs",
        Risk.MONITORING,
        "SAS-03",
        532,
        _L.MEDIUM,
        "Everybody who reads logs gets them, for as long as logs are kept.",
        "Do not log it, or log only that it was there.",
        seen_at("logged secrets"),
        _handler("console.log('login', event.user, event.password)"),
        _handler("console.log('login', event.user, event.password.length)"),
        "T1552.001",
    ),
    _rule(
        "JS-015",
        "Debugging is on",
        Risk.ERRORS,
        "SAS-06",
        489,
        _L.MEDIUM,
        "Pages for developers show traces, source and data to everybody.",
        "Remove it, or enable it only for the development stage.",
        seen_at("debug"),
        "const app = require('express')()\napp.use(require('errorhandler')())\n"
        + _handler("return app.handle(event)"),
        "const app = require('express')()\nif (process.env.NODE_ENV === 'development') {\n"
        "  app.use(require('errorhandler')())\n}\n" + _handler("return app.handle(event)"),
    ),
    _rule(
        "JS-016",
        "Errors are ignored",
        Risk.ERRORS,
        "SAS-10",
        390,
        _L.LOW,
        "Failed first attempts of an attack go unnoticed, and half-done work counts as done.",
        "Handle what you can handle, and log the rest.",
        seen_at("swallowed"),
        _handler("try {\n    await work(event)\n  } catch (err) {}"),
        _handler("try {\n    await work(event)\n  } catch (err) {\n    console.error(err)\n  }"),
    ),
    _rule(
        "JS-017",
        "Weak password hash",
        Risk.PERMISSIONS,
        "SAS-03",
        328,
        _L.MEDIUM,
        "Attackers try billions of guesses a second against MD5 and SHA-1.",
        "Use argon2, or crypto.scrypt.",
        _either(seen_at("weak hash"), seen_at("plain password")),
        _handler("return crypto.createHash('md5').update(event.password).digest('hex')"),
        _handler("return crypto.scryptSync(event.password, salt, 32).toString('hex')"),
        "T1110.002",
    ),
    _rule(
        "JS-018",
        "Sessions or tokens signed with a known key",
        Risk.PERMISSIONS,
        "SAS-02",
        321,
        _L.HIGH,
        "Whoever reads the code can make sessions and tokens for any user.",
        "Read the key from a secret.",
        _either(seen_at("session key"), _milder(seen_at("fallback key"))),
        "const session = require('express-session')\napp.use(session({ secret: 'super-secret' }))\n"
        + _handler("return app.handle(event)"),
        "const session = require('express-session')\n"
        "app.use(session({ secret: process.env.SESSION_KEY }))\n"
        + _handler("return app.handle(event)"),
        "T1550.004",
    ),
    _rule(
        "JS-019",
        "Key or password in a call",
        Risk.PERMISSIONS,
        "SAS-03",
        798,
        _L.HIGH,
        "Whoever reads the code can log in.",
        "Replace it now: it is in every clone and in the history. Read the new one from a secret.",
        _either(seen_at("written password"), _milder(seen_at("fallback password"))),
        "const mysql = require('mysql2')\n"
        "const db = mysql.createPool({ host: 'db.shop.internal', password: 'k9Tq2wLm8z' })\n"
        + _handler("return db.query('SELECT 1')"),
        "const mysql = require('mysql2')\n"
        "const db = mysql.createPool({ host: 'db.shop.internal', password: process.env.DB })\n"
        + _handler("return db.query('SELECT 1')"),
        "T1552.001",
    ),
    _rule(
        "JS-022",
        "Server used without encryption",
        Risk.RESPONSIBILITY,
        "SAS-03",
        319,
        Severity.MEDIUM,
        "Anybody on the network path can read passwords and data, and change them.",
        "Use the encrypted port of the server, and check its certificate: ldaps://, rediss://, "
        "amqps://, `ssl: true` of Kafka, `ssl: {ca}` of a database.",
        seen_at("plain connections"),
        "const amqp = require('amqplib');\nexports.handler = async () => amqp.connect('amqp://mq.partner.com');",
        "const amqp = require('amqplib');\nexports.handler = async () => amqp.connect('amqps://mq.partner.com');",
        "T1040",
    ),
    _rule(
        "JS-023",
        "Cookies of sessions without protection",
        Risk.RESPONSIBILITY,
        "SAS-02",
        614,
        Severity.MEDIUM,
        "Without Secure a browser sends them in clear text, too; without HttpOnly a script of a "
        "page can read them.",
        "Set secure: true and httpOnly: true.",
        seen_at("cookies"),
        "const app = require('express')()\n"
        "app.get('/', (req, res) => res.cookie('session', req.key).end())",
        "const app = require('express')()\n"
        "app.get('/', (req, res) =>\n"
        "  res.cookie('session', req.key, { secure: true, httpOnly: true }).end())",
        "T1539",
    ),
)
