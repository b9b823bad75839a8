"""Rules about Python: what handlers tell of errors, what they log, what they switch off."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec

from casemate.audit.code.reading import python_files
from casemate.audit.finding import Severity
from casemate.audit.model import Reach
from casemate.audit.rule import Check, Hit, Risk, Subject
from casemate.audit.rules.code_entries import CodeEntries
from casemate.audit.rules.examples import python
from casemate.audit.rules.guessable_tokens import between_files, guessable
from casemate.audit.rules.logged_secrets import logged_secrets
from casemate.audit.rules.looks import look_at
from casemate.audit.rules.plain_connections import plain_connections
from casemate.audit.rules.python_cookies import open_answers
from casemate.audit.rules.python_dangers import (
    asserted,
    debug,
    entities,
    evaluated,
    forever,
    host_keys,
    kept,
    permissions,
    shell,
    swallowed,
    temporary,
    unescaped,
    unpacked,
    unpickled,
    unsigned,
    unverified,
    weak_hash,
    yaml,
)
from casemate.audit.rules.python_disclosures import (
    logged_environment,
    logged_events,
    returned_environment,
    returned_errors,
    returned_traces,
    tellers,
)
from casemate.audit.rules.python_settings import fallback_key, secret_key
from casemate.audit.rules.replaced_settings import unless_replaced


def _with_fallbacks(check: Check) -> Check:
    """Look as well for keys that sign only where the environment has none: these are milder."""

    def found(subject: Subject) -> Iterator[Hit]:
        yield from unless_replaced(check)(subject)
        for each in unless_replaced(look_at(fallback_key))(subject):
            yield msgspec.structs.replace(each, severity=Severity.MEDIUM)

    return found


def _milder(check: Check) -> Check:
    """Make what an authorizer has most likely looked at milder: it stands before every route."""

    def found(subject: Subject) -> Iterator[Hit]:
        for each in check(subject):
            checked = each.function is not None and each.function.reach is Reach.AUTHENTICATED
            yield msgspec.structs.replace(each, severity=Severity.MEDIUM) if checked else each

    return found


def _between_files(_: Check) -> Check:
    """Look for told errors with the helpers of all files of the application."""

    def found(subject: Subject) -> Iterator[Hit]:
        known: dict[str, set[int | str]] = {}
        for file, _function in python_files(subject.code, subject.application):
            module = file.file.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]
            for name, told in subject.code.once(
                "tellers", file.file, partial(tellers, file)
            ).items():
                known.setdefault(f"{module}.{name}", set()).update(told)
        yield from look_at(lambda file: returned_errors(file, known))(subject)

    return found


_rule = CodeEntries(look_at, python)


def _handler(body: str, head: str = "") -> str:
    lines = "\n".join(f"    {line}" for line in body.strip("\n").split("\n"))
    return (f"{head}\n\n" if head else "") + f"def handler(event, context):\n{lines}"


_E, _I, _M, _R, _D = Risk.ERRORS, Risk.INPUT, Risk.MONITORING, Risk.RESPONSIBILITY, Risk.PERMISSIONS
_L = Severity

RULES = (
    _rule(
        "PY-001",
        "Answer with the text of an exception",
        _E,
        "SAS-06",
        209,
        _L.LOW,
        "Exception texts reveal queries, paths, hosts and keys of tables to anybody who "
        "causes an error.",
        "Answer with an id, and log the exception under that id.",
        returned_errors,
        _handler(
            "try:\n    return work(event)\nexcept Exception as error:\n    return {'statusCode': 500, 'body': str(error)}"
        ),
        _handler(
            "try:\n    return work(event)\nexcept Exception:\n    log.exception('failed')\n    return {'statusCode': 500, 'body': 'error ' + context.aws_request_id}"
        ),
        by_reach=True,
        over=_between_files,
    ),
    _rule(
        "PY-002",
        "Answer with a trace",
        _E,
        "SAS-06",
        209,
        _L.MEDIUM,
        "A trace reveals the code, its paths and libraries, and often values.",
        "Answer with an id, and log the trace under that id.",
        returned_traces,
        _handler(
            "try:\n    return work(event)\nexcept Exception:\n    return {'statusCode': 500, 'body': traceback.format_exc()}",
            "import traceback",
        ),
        _handler(
            "try:\n    return work(event)\nexcept Exception:\n    log.exception('failed')\n    return {'statusCode': 500, 'body': ''}"
        ),
        by_reach=True,
    ),
    _rule(
        "PY-003",
        "Whole events in logs",
        _M,
        "SAS-03",
        532,
        _L.LOW,
        "Events contain passwords, tokens in headers and personal data. Everybody who reads "
        "logs gets them.",
        "Log the fields that an investigation needs: the route, the id, the user.",
        logged_events,
        _handler("print(event)\nreturn None"),
        _handler("print(event['requestContext']['requestId'])\nreturn None"),
        by_reach=True,
    ),
    _rule(
        "PY-004",
        "Environment in logs",
        _M,
        "SAS-03",
        532,
        _L.HIGH,
        "The credentials of the function's role are in its environment.",
        "Log only the variables that are needed, by name.",
        logged_environment,
        _handler("print(os.environ)\nreturn None", "import os"),
        _handler("print(os.environ['STAGE'])\nreturn None", "import os"),
        "T1552.005",
    ),
    _rule(
        "PY-005",
        "Answer with the environment",
        _E,
        "SAS-03",
        526,
        _L.CRITICAL,
        "The credentials of the function's role are in its environment. Whoever reads them "
        "can act as the function.",
        "Answer only with what was requested.",
        returned_environment,
        _handler("return {'body': str(dict(os.environ))}", "import os"),
        _handler("return {'body': os.environ.get('STAGE', '')}", "import os"),
        "T1552.005",
    ),
    _rule(
        "PY-006",
        "Secrets in logs",
        _M,
        "SAS-03",
        532,
        _L.MEDIUM,
        "Everybody who reads logs gets them, for as long as logs are kept.",
        "Do not log it, or log only that it was there.",
        logged_secrets,
        _handler("password = event['password']\nprint('login', password)\nreturn None"),
        _handler("password = event['password']\nprint('login', len(password))\nreturn None"),
        "T1552.001",
    ),
    _rule(
        "PY-007",
        "Debugging is on",
        _E,
        "SAS-06",
        489,
        _L.MEDIUM,
        "Error pages show source and variables. Werkzeug's debugger runs code.",
        "Remove debug, or set it by a variable only for the development stage.",
        debug,
        "from flask import Flask\n\napp = Flask(__name__)\napp.run(debug=True)",
        "from flask import Flask\n\napp = Flask(__name__)\napp.run()",
    ),
    _rule(
        "PY-008",
        "Certificates are not checked",
        _R,
        "SAS-03",
        295,
        _L.HIGH,
        "Anybody on the network path can pose as the server, and read and change everything.",
        "Remove it, and give the client the right certificate authority (verify='/opt/ca.pem').",
        unverified,
        _handler(
            "return requests.get('https://a.example', verify=False, timeout=3).text",
            "import requests",
        ),
        _handler("return requests.get('https://a.example', timeout=3).text", "import requests"),
        "T1557",
    ),
    _rule(
        "PY-009",
        "Errors are ignored",
        _E,
        "SAS-10",
        390,
        _L.LOW,
        "Failed first attempts of an attack go unnoticed, and half-done work counts as done.",
        "Catch what you can handle, and log the rest.",
        swallowed,
        _handler("try:\n    work(event)\nexcept Exception:\n    pass"),
        _handler("try:\n    work(event)\nexcept KeyError:\n    log.info('no such key')"),
    ),
    _rule(
        "PY-010",
        "Text that is executed as code",
        _I,
        "SAS-01",
        95,
        _L.MEDIUM,
        "Whoever can influence the text can run code as the function.",
        "Parse only what is expected: json.loads, ast.literal_eval, a table of functions.",
        evaluated,
        _handler("return eval(event['expression'])"),
        _handler("return json.loads(event['expression'])", "import json"),
        "T1059.006",
        True,
    ),
    _rule(
        "PY-011",
        "Command line built at run time",
        _I,
        "SAS-01",
        78,
        _L.MEDIUM,
        "Whoever can influence it can run commands as the function.",
        "Pass a list to subprocess.run, without a shell.",
        shell,
        _handler("os.system('convert ' + event['name'])", "import os"),
        _handler(
            "subprocess.run(['convert', '--', event['name']], check=True)", "import subprocess"
        ),
        "T1059.004",
        True,
    ),
    _rule(
        "PY-012",
        "Deserialising data that makes objects",
        _I,
        "SAS-08",
        502,
        _L.MEDIUM,
        "Pickle and similar formats call what the data names.",
        "Use JSON, or sign the data that only you write.",
        unpickled,
        _handler("return pickle.loads(event['body'])", "import pickle"),
        _handler("return json.loads(event['body'])", "import json"),
        "T1059.006",
        True,
    ),
    _rule(
        "PY-013",
        "YAML loader that makes objects",
        _I,
        "SAS-08",
        502,
        _L.MEDIUM,
        "With this loader a document can call any function.",
        "Use yaml.safe_load.",
        yaml,
        _handler("return yaml.load(event['body'])", "import yaml"),
        _handler("return yaml.safe_load(event['body'])", "import yaml"),
        "T1059.006",
        True,
    ),
    _rule(
        "PY-014",
        "Signatures of tokens are not checked",
        _D,
        "SAS-02",
        347,
        _L.HIGH,
        "Anybody can write a token with any contents.",
        "Pass the key and the algorithms, and remove the options.",
        unsigned,
        _handler(
            "return jwt.decode(event['token'], options={'verify_signature': False})", "import jwt"
        ),
        _handler("return jwt.decode(event['token'], KEY, algorithms=['RS256'])", "import jwt"),
        "T1550.001",
        over=_milder,
    ),
    _rule(
        "PY-015",
        "Weak password hash",
        _D,
        "SAS-03",
        328,
        _L.MEDIUM,
        "Attackers try billions of guesses a second against MD5 and SHA-1.",
        "Use argon2-cffi or hashlib.scrypt.",
        weak_hash,
        _handler(
            "password = event['password'].encode()\nreturn hashlib.md5(password).hexdigest()",
            "import hashlib",
        ),
        _handler(
            "password = event['password'].encode()\nreturn hashlib.scrypt(password, salt=SALT, n=2**15, r=8, p=1).hex()",
            "import hashlib",
        ),
        "T1110.002",
    ),
    _rule(
        "PY-016",
        "Tokens that can be guessed",
        _D,
        "SAS-02",
        338,
        _L.MEDIUM,
        "After 624 outputs of `random`, all later ones are known.",
        "Use the module secrets.",
        guessable,
        _handler("token = random.randint(0, 999999)\nreturn token", "import random"),
        _handler("token = secrets.token_urlsafe()\nreturn token", "import secrets"),
        over=between_files,
    ),
    _rule(
        "PY-017",
        "Temporary file that others can create",
        _R,
        "SAS-06",
        377,
        _L.LOW,
        "Between naming and opening the file, another process can create it, or a link in "
        "its place.",
        "Use tempfile.NamedTemporaryFile or mkstemp.",
        temporary,
        _handler("return tempfile.mktemp()", "import tempfile"),
        _handler("return tempfile.mkstemp()[1]", "import tempfile"),
    ),
    _rule(
        "PY-018",
        "File that everybody may change",
        _R,
        "SAS-05",
        732,
        _L.LOW,
        "Other processes, also later ones in the same environment, can change it.",
        "Give rights only to the owner: 0o600.",
        permissions,
        _handler("os.chmod('/tmp/a', 0o777)", "import os"),
        _handler("os.chmod('/tmp/a', 0o600)", "import os"),
    ),
    _rule(
        "PY-019",
        "Archive that can write anywhere",
        _I,
        "SAS-01",
        22,
        _L.MEDIUM,
        "Members named ../../x, and links, lead out of the folder.",
        "Pass filter='data'.",
        unpacked,
        _handler("tarfile.open('/tmp/a.tar').extractall('/tmp/out')", "import tarfile"),
        _handler(
            "tarfile.open('/tmp/a.tar').extractall('/tmp/out', filter='data')", "import tarfile"
        ),
    ),
    _rule(
        "PY-020",
        "Request without a timeout",
        _E,
        "SAS-06",
        400,
        _L.LOW,
        "A server that never answers holds the function until its own timeout, and you pay.",
        "Pass timeout=.",
        forever,
        _handler("return requests.get('https://a.example').text", "import requests"),
        _handler("return requests.get('https://a.example', timeout=3).text", "import requests"),
        "T1499.003",
    ),
    _rule(
        "PY-021",
        "Any host key is accepted",
        _R,
        "SAS-03",
        295,
        _L.MEDIUM,
        "Anybody on the network path can pose as the server, and gets the password.",
        "Load known host keys, and use RejectPolicy.",
        host_keys,
        _handler("client.set_missing_host_key_policy(paramiko.AutoAddPolicy())", "import paramiko"),
        _handler("client.set_missing_host_key_policy(paramiko.RejectPolicy())", "import paramiko"),
        "T1557",
    ),
    _rule(
        "PY-022",
        "Pages without escaping",
        _I,
        "SAS-07",
        79,
        _L.MEDIUM,
        "Input of one person runs as a script in the browsers of others.",
        "Pass autoescape=select_autoescape().",
        unescaped,
        "import jinja2\n\npages = jinja2.Environment()",
        "import jinja2\n\npages = jinja2.Environment(autoescape=jinja2.select_autoescape())",
    ),
    _rule(
        "PY-023",
        "Data that stays for the next caller",
        _D,
        "SAS-03",
        488,
        _L.MEDIUM,
        "Processes are reused: a global keeps what the previous caller sent.",
        "Pass it on as an argument.",
        kept,
        "user = None\n\n" + _handler("global user\nuser = event['user']\nreturn work()"),
        _handler("return work(event['user'])"),
    ),
    _rule(
        "PY-024",
        "Sessions signed with a known key",
        _D,
        "SAS-02",
        321,
        _L.HIGH,
        "Whoever reads the code can make sessions for any user.",
        "Read the key from a secret.",
        secret_key,
        "from flask import Flask\n\napp = Flask(__name__)\napp.secret_key = 'super-secret'",
        "import os\nfrom flask import Flask\n\napp = Flask(__name__)\napp.secret_key = os.environ['SESSION_KEY']",
        "T1550.004",
        over=_with_fallbacks,
    ),
    _rule(
        "PY-025",
        "Answers for pages of any site",
        _R,
        "SAS-06",
        942,
        _L.MEDIUM,
        "An attacker's page can read the answers with the rights of whoever opens the page.",
        "Name the origin, or do not allow credentials.",
        open_answers,
        _handler(
            "return {'headers': {'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Credentials': 'true'}}"
        ),
        _handler(
            "return {'headers': {'Access-Control-Allow-Origin': 'https://shop.example', 'Access-Control-Allow-Credentials': 'true'}}"
        ),
    ),
    _rule(
        "PY-026",
        "XML parser that reads files",
        _I,
        "SAS-04",
        611,
        _L.HIGH,
        "An entity can name /proc/self/environ, or an address in your network.",
        "Remove resolve_entities, or use defusedxml.",
        entities,
        _handler(
            "return etree.fromstring(event['body'], etree.XMLParser(resolve_entities=True))",
            "from lxml import etree",
        ),
        _handler(
            "return etree.fromstring(event['body'], etree.XMLParser(resolve_entities=False))",
            "from lxml import etree",
        ),
        "T1005",
    ),
    _rule(
        "PY-027",
        "Right checked by assert",
        _D,
        "SAS-05",
        617,
        _L.LOW,
        "python -O and PYTHONOPTIMIZE remove assert statements.",
        "Raise an error.",
        asserted,
        _handler("assert user.is_admin\nreturn work(event)"),
        _handler("if not user.is_admin:\n    raise PermissionError\nreturn work(event)"),
    ),
    _rule(
        "PY-030",
        "Server used without encryption",
        _R,
        "SAS-03",
        319,
        _L.MEDIUM,
        "Anybody on the network path can read passwords and data, and change them.",
        "Use the encrypted port of the server, and check its certificate: SMTP with starttls(), "
        "ldaps://, rediss://, amqps://, SASL_SSL, sslmode=verify-full.",
        plain_connections,
        _handler(
            "server = smtplib.SMTP('mail.partner.com')\nserver.login('shop', secret(context))",
            "import smtplib",
        ),
        _handler(
            "server = smtplib.SMTP('mail.partner.com')\nserver.starttls()\nserver.login('shop', secret(context))",
            "import smtplib",
        ),
        "T1040",
    ),
)
