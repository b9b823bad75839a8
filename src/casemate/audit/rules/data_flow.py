"""Rules about data that comes from outside to where it does harm, through a function's own code.

The way is found by `casemate.audit.flow`, once for all rules. A finding has each step of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from time import thread_time

from casemate.audit.finding import Severity, Step
from casemate.audit.flow import Analysis, Flow, Limits, analyse, discover, parse_all
from casemate.audit.flow.library.sources import labels_of
from casemate.audit.model import Function, Place, Platform, Reach
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.examples import python
from casemate.audit.rules.followed_code import PythonPart, ScriptPart, python_parts
from casemate.audit.rules.scripts import MAX_FOLLOWED as MAX_SECONDS
from casemate.audit.rules.scripts import scripts_of

MAX_STEPS = 30
_UNSURE = {"high": 0, "medium": -1, "low": -2}
"""How much milder a finding is of whose way a part is not known."""
Found = tuple[tuple[Flow, Place, tuple[Step, ...], Function | None], ...]


def _found(subject: Subject) -> Found:
    """Return all flows of an application: made once, for the first rule that asks."""
    application, code = subject.application, subject.code

    def make() -> Found:
        return tuple(_flows(subject))

    return code.once("data flow", f"{application.importer}#{application.name}", make)


def _flows(subject: Subject) -> Iterator[tuple[Flow, Place, tuple[Step, ...], Function | None]]:
    scripts = scripts_of(subject)
    found = list(scripts.flows())
    until = thread_time() + MAX_SECONDS - scripts.spent
    for part in python_parts(subject.application, subject.code):
        entries = list(part.entries)
        known = {(each.path, each.name) for each in entries}
        parsed = parse_all(part.texts, part.parsed)
        shown = [e for e in discover(parsed) if (e.path, e.name) not in known]
        entries += [e for e in shown if part.serves(e)]
        if entries:
            analysis = analyse(parsed, entries, Limits(seconds=until - thread_time()))
            yield from _told(subject, part, analysis)
    for script, analysis in found:
        yield from _told(subject, script, analysis)


def _told(
    subject: Subject, part: PythonPart | ScriptPart, analysis: Analysis
) -> Iterator[tuple[Flow, Place, tuple[Step, ...], Function | None]]:
    for note in analysis.unresolved:
        subject.workspace.notes.say(part.place(note.place), note.what)
    for flow in analysis.flows:
        steps = tuple(Step(part.place(s.place), s.what) for s in flow.steps[:MAX_STEPS])
        yield flow, part.place(flow.place), steps, part.of(flow.entry)


def _check(weakness: str, base: Severity) -> Callable[[Subject], Iterator[Hit]]:
    def check(subject: Subject) -> Iterator[Hit]:
        for flow, place, steps, function in _found(subject):
            if flow.weakness != weakness or _is_own_host(flow, function):
                continue
            through = f", through {', '.join(flow.sanitizers)}" if flow.sanitizers else ""
            yield Hit(
                place=place,
                text=f"{flow.source.what} ({flow.source.kind}) reaches {flow.call}{through}",
                subject=f"{flow.call} {flow.source.what}",
                function=function,
                severity=base.shifted(_UNSURE.get(flow.confidence, -2) - _inside(flow, function)),
                most=_most(flow, base),
                steps=steps,
                cause=_cause(steps, place),
            )

    return check


def _most(flow: Flow, base: Severity) -> Severity:
    """Return how grave a flow is at most: what a bucket holds is not known here."""
    if flow.confidence != "high":
        return base.shifted(-1)
    return Severity.MEDIUM if flow.weakness == "object" else Severity.CRITICAL


def _is_own_host(flow: Flow, function: Function | None) -> bool:
    """Tell whether it is the `Host` of an API of AWS, which answers to its own names alone.

    A load balancer passes on whatever its caller says.
    """
    if function is None or function.platform is not Platform.AWS:
        return False
    *_, owner, name = ("", "", *labels_of(flow.source.what))
    ways = [each for each in function.triggers if each.kind in ("http", "url")]
    passed = not ways or any(each.how == "load balancer" for each in ways)
    return name.lower() == "host" and owner in ("headers", "multiValueHeaders") and not passed


def _inside(flow: Flow, function: Function | None) -> int:
    """Return 1 where only the inside sends such an event, though no manifest says who calls.

    Events of HTTP have names of their own; what has others is sent by a queue or a direct call.
    """
    if function is None or function.reach is not Reach.UNKNOWN:
        return 0
    if flow.source.kind in _FROM_INSIDE:
        return 1
    if flow.entry.shape != "lambda" or flow.source.kind not in ("http", "invoke"):
        return 0
    key = _KEY.match(flow.source.what)
    return int(key is not None and (key[1] or key[2]) not in _OF_HTTP)


_FROM_INSIDE = frozenset(("queue", "topic", "storage", "table", "stream", "schedule"))
_KEY = re.compile(r"(?:json\()?e(?:vent|vt)(?:\[['\"](\w{1,80})['\"]|\.(\w{1,80}))")
_OF_HTTP = frozenset(
    (
        *("body", "isBase64Encoded", "queryStringParameters", "multiValueQueryStringParameters"),
        *("pathParameters", "headers", "multiValueHeaders", "cookies", "path", "rawPath"),
        *("rawQueryString", "requestContext", "httpMethod", "resource", "stageVariables"),
        *("query", "params", "method", "payload", "data", "args", "arguments", "request", "get"),
    )
)
"""Names in events of HTTP, as API Gateway, load balancers, URLs and AppSync send them."""


def _cause(steps: tuple[Step, ...], place: Place) -> str:
    """Return the cause of flows: data that is checked where it comes in does no harm later."""
    begin = steps[0] if len(steps) > 1 else None
    return f"{begin.place} {begin.text}" if begin is not None and begin.place != place else ""


_HEAD = (
    "import json\nimport os\nimport re\nimport subprocess\nimport sqlite3\nimport urllib.request\n"
)


def _handler(body: str, head: str = "") -> Mapping[str, str]:
    lines = "".join(f"    {line}\n" for line in body.strip("\n").split("\n"))
    return python(f"{_HEAD}{head}\n\ndef handler(event, context):\n{lines}")


_NAME = "name = event['queryStringParameters']['name']\n"
_ROWS: tuple[tuple[str, str, int, str, str, Severity, str, str, str, str, str], ...] = (
    (
        "sql", "SQL injection", 89, "SAS-01", "T1190", Severity.HIGH,
        "A caller can read and change data that the statement was not meant for.",
        "Pass the value as a parameter: execute('... WHERE name = ?', (name,)).",
        "sqlite3.connect('x').execute(f\"SELECT * FROM t WHERE name = '{name}'\")",
        "sqlite3.connect('x').execute('SELECT * FROM t WHERE name = ?', (name,))", "",
    ),
    (
        "command", "Command injection", 78, "SAS-01", "T1059.004", Severity.HIGH,
        "A caller can run commands of their own with the function's rights.",
        "Start the program with a list and no shell: subprocess.run(['convert', '--', name]).",
        "os.system('convert ' + name)", "subprocess.run(['/bin/ls', '--', 'here'], check=True)", "",
    ),
    (
        "argument", "Data chooses a program or its options", 88, "SAS-01", "T1059", Severity.MEDIUM,
        "An option such as --output=FILE or -exec makes the program do something it was not "
        "called for.",
        "Put -- before the value, and take programs from a collection.",
        "subprocess.run([name, 'x'], check=True)", "subprocess.run(['/bin/ls', 'x'], check=True)",
        "",
    ),
    (
        "code", "Code injection", 94, "SAS-01", "T1059.006", Severity.CRITICAL,
        "A caller can run code of their own with the function's rights.",
        "Read data with json.loads or ast.literal_eval.",
        "return eval(name)", "return json.loads(name)", "",
    ),
    (
        "import", "Data chooses a module or class", 470, "SAS-01", "T1059.006", Severity.MEDIUM,
        "A caller can make an object of any installed class, also of those that run commands.",
        "Look it up in a dictionary of the allowed ones.",
        "return __import__(name)", "return {'a': json}[name]", "",
    ),
    (
        "format", "Data is used as a format string", 134, "SAS-01", "T1083", Severity.MEDIUM,
        "A format can read attributes: '{0.__init__.__globals__}' reveals secrets of the module.",
        "Pass the data as a value to a format of your own: 'Hello {}'.format(name).",
        "", "return 'Hello {}'.format(name)", "",
    ),
    (
        "attributes", "Data names attributes that are set", 915, "SAS-05", "T1565", Severity.MEDIUM,
        "A caller can set what only the code should set, such as who is an administrator.",
        "Set only names that are in a collection of your own.",
        "setattr(context, name, 1)", "setattr(context, 'name', name)", "",
    ),
    (
        "deserialisation", "Insecure deserialisation", 502, "SAS-08", "T1203", Severity.CRITICAL,
        "Such data can run code while it is read.",
        "Use JSON, or check a signature with hmac.compare_digest before reading it.",
        "return pickle.loads(event['body'].encode())", "return json.loads(event['body'])",
        "import pickle\n",
    ),
    (
        "path", "Path traversal", 22, "SAS-05", "T1083", Severity.HIGH,
        "A caller can read or write other files, such as the code and its secrets.",
        "Resolve the path and compare it: p = (BASE / name).resolve(), then "
        "p.is_relative_to(BASE).",
        "return open('/var/task/' + name).read()",
        "return open('/var/task/' + os.path.basename(name)).read()", "",
    ),
    (
        "archive", "Archive names that choose files", 22, "SAS-05", "T1083", Severity.MEDIUM,
        "An archive with ../ in its names can overwrite code and settings.",
        "Extract with filter='data', or compare each resolved name with the folder.",
        "tarfile.open(fileobj=io.BytesIO(event['body'])).extractall('/tmp')",
        "tarfile.open(fileobj=io.BytesIO(event['body'])).extractall('/tmp', filter='data')",
        "import io\nimport tarfile\n",
    ),
    (
        "url", "Server-side request forgery", 918, "SAS-05", "T1552.005", Severity.HIGH,
        "A caller can reach what only the function can reach, such as the credentials of its role.",
        "Compare the host with a collection of allowed hosts.",
        "return urllib.request.urlopen(event['queryStringParameters']['url']).read()",
        "return urllib.request.urlopen('https://api.example.com/').read()", "",
    ),
    (
        "redirect", "Open redirect", 601, "SAS-05", "T1566.002", Severity.MEDIUM,
        "A link to your site leads to somebody else's site.",
        "Redirect only to paths of your own, or to hosts in a collection.",
        "return {'statusCode': 302, 'headers': {'Location': name}}",
        "return {'statusCode': 302, 'headers': {'Location': '/home'}}", "",
    ),
    (
        "markup", "Cross-site scripting", 79, "SAS-07", "T1189", Severity.HIGH,
        "An attacker's scripts run in your users' browsers, as your site.",
        "Escape it: html.escape(name), or a template that escapes.",
        "return {'statusCode': 200, 'headers': {'Content-Type': 'text/html'}, "
        "'body': '<p>' + name + '</p>'}",
        "return {'statusCode': 200, 'headers': {'Content-Type': 'text/html'}, "
        "'body': '<p>' + html.escape(name) + '</p>'}", "import html\n",
    ),
    (
        "header", "Line ends in a header", 113, "SAS-01", "T1190", Severity.MEDIUM,
        "With line ends, a caller can add headers and another body.",
        "Refuse values with line ends.", "", "return {'statusCode': 204}", "",
    ),
    (
        "template", "Template injection", 1336, "SAS-01", "T1059.006", Severity.CRITICAL,
        "A template can run code of whoever wrote it.",
        "Pass the data as a value to a template of your own.",
        "return jinja2.Template(name).render()",
        "return jinja2.Template('Hello {{ name }}', autoescape=True).render(name='x')",
        "import jinja2\n",
    ),
    (
        "xml", "XML that reads files", 611, "SAS-04", "T1190", Severity.HIGH,
        "Entities can read files and internal addresses, and fill the memory.",
        "Use defusedxml, or lxml with resolve_entities=False.",
        "p = lxml.etree.XMLParser(resolve_entities=True)\n"
        "return lxml.etree.fromstring(event['body'], p)",
        "p = lxml.etree.XMLParser(resolve_entities=False, no_network=True)\n"
        "return lxml.etree.fromstring(event['body'], p)", "import lxml.etree\n",
    ),
    (
        "xpath", "XPath injection", 643, "SAS-01", "T1190", Severity.HIGH,
        "A caller can select other nodes than intended.",
        "Pass the value as a variable: tree.xpath('//user[@n=$n]', n=name).",
        "return lxml.etree.parse('x.xml').xpath(f\"//user[@n='{name}']\")",
        "return lxml.etree.parse('x.xml').xpath('//user[@n=$n]', n=name)", "import lxml.etree\n",
    ),
    (
        "ldap", "LDAP injection", 90, "SAS-01", "T1190", Severity.HIGH,
        "A caller can find other people than intended, or log in as one.",
        "Escape the value: ldap.filter.escape_filter_chars(name).", "", "return None", "",
    ),
    (
        "nosql", "NoSQL injection", 943, "SAS-01", "T1190", Severity.HIGH,
        "An object in place of a text becomes an operator, such as {'$gt': ''}.",
        "Convert it to text: find({'name': str(name)}).",
        "return pymongo.MongoClient().db.users.find(json.loads(event['body']))",
        "return pymongo.MongoClient().db.users.find({'name': str(name)})", "import pymongo\n",
    ),
    (
        "regex", "Data is used as a regular expression", 1333, "SAS-06", "T1499", Severity.MEDIUM,
        "Some expressions take hours. You pay for the function until its timeout.",
        "Escape it: re.escape(name).",
        "return bool(re.search(name, 'a text'))", "return bool(re.search(re.escape(name), 'x'))",
        "",
    ),
    (
        "log", "Line ends in a log", 117, "SAS-10", "T1070", Severity.LOW,
        "A caller can write lines that look like the function's own.",
        "Log the value as a field of JSON, or with repr().",
        "logging.info('name ' + name)", "logging.info('name %r', len(name))", "import logging\n",
    ),
    (
        "cipher", "Broken cipher", 327, "SAS-03", "T1600", Severity.MEDIUM,
        "Others can read or change what is encrypted with it.",
        "Use AES-GCM or ChaCha20-Poly1305 from the package cryptography.", "", "return None", "",
    ),
    (
        "session", "Outside data among trusted data", 501, "SAS-05", "T1565", Severity.LOW,
        "Code that reads it later takes it for something that the code itself wrote.",
        "Store only values that were checked, under names of your own.", "", "return None", "",
    ),
    (
        "object", "Presigned URL for any object", 639, "SAS-05", "T1530", Severity.MEDIUM,
        "A caller can read or write every object of the bucket, also those of others.",
        "Begin the key with what the code knows about the caller: f'{user}/{name}'.",
        "return boto3.client('s3').generate_presigned_url(\n"
        "    'get_object', Params={'Bucket': 'files', 'Key': name})",
        "return boto3.client('s3').generate_presigned_url(\n"
        "    'get_object', Params={'Bucket': 'files', 'Key': f'public/{name}'})", "import boto3\n",
    ),
)  # fmt: skip


def _rules() -> Iterator[Rule]:
    for number, row in enumerate(_ROWS, 1):
        weakness, title, cwe, owasp, attack, severity, why, fix, bad, good, head = row
        yield Rule(
            id=f"DF-{number:03}",
            title=title,
            risk=Risk.INPUT,
            owasp=owasp,
            cwe=cwe,
            attack=attack,
            severity=severity,
            by_reach=True,
            why=why,
            fix=fix,
            check=_check(weakness, severity),
            vulnerable=_handler(_NAME + bad, head) if bad else {},
            fixed=_handler(_NAME + good, head),
        )


RULES: tuple[Rule, ...] = tuple(_rules())
