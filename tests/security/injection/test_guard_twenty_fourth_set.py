"""What was looked for after a twenty-third set, class by class. Each has its harmless twins."""

from __future__ import annotations

import base64
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes, placed

pytestmark = pytest.mark.usefixtures("own_temporary_files")

# -- elements of a document that the code writes into memory and reads again -----------------------

ENTRY = "<p><name>{name}</name><licence>no</licence></p>"
READ = "[each.findtext('licence') for each in {}]"
DOCUMENT = (
    "{}\n\ndef handler(event, context):\n    out = {}\n    out.write({}'<r>')\n"
    "    for name in event['names']:\n"
    "        out.write(f'<p><name>{{name}}</name><licence>no</licence></p>'{})\n"
    "    out.write({}'</r>')\n    {}\n    return {}\n"
)
TREE = "import io, tempfile\nimport xml.etree.ElementTree as ET"
TEXTS = {
    "getvalue": (TREE, "io.StringIO()", "pass", READ.format("ET.fromstring(out.getvalue())")),
    "parse": (TREE, "io.StringIO()", "out.seek(0)", READ.format("ET.parse(out).getroot()")),
    "read": (TREE, "io.StringIO()", "out.seek(0)", READ.format("ET.fromstring(out.read())")),
    "a temporary file": (
        *(TREE, "tempfile.TemporaryFile('w+')", "out.seek(0)"),
        READ.format("ET.fromstring(out.read())"),
    ),
    "spooled": (
        *(TREE, "tempfile.SpooledTemporaryFile(mode='w+')", "out.seek(0)"),
        READ.format("ET.fromstring(out.read())"),
    ),
    "minidom": (
        *("import io\nfrom xml.dom import minidom", "io.StringIO()", "out.seek(0)"),
        "len(minidom.parse(out).getElementsByTagName('licence'))",
    ),
    "a pattern": (
        *("import io, re", "io.StringIO()", "pass"),
        "re.findall('<licence>(.*?)</licence>', out.getvalue())",
    ),
}
BYTES = {
    "iterparse": (
        *(TREE, "io.BytesIO()", "out.seek(0)"),
        "[each.text for _, each in ET.iterparse(out) if each.tag == 'licence']",
    ),
    "lxml": (
        *("import io\nfrom lxml import etree", "io.BytesIO()", "out.seek(0)"),
        READ.format("etree.parse(out).getroot()"),
    ),
    "lxml of bytes": (
        *("import io\nfrom lxml import etree", "io.BytesIO()", "pass"),
        READ.format("etree.fromstring(out.getvalue())"),
    ),
}
PIECES = {
    "a list": "ET.fromstringlist(['<r>', *entries, '</r>'])",
    "feed": "fed(ET.XMLParser(), entries).close()",
    "pull": "list(fed(ET.XMLPullParser(), entries).read_events())",
    "expat": "fed(expat.ParserCreate(), entries)",
    "sax": "sax.parseString('<r>' + ''.join(entries) + '</r>', sax.ContentHandler())",
    "pulldom": "list(pulldom.parseString('<r>' + ''.join(entries) + '</r>'))",
    "a page": "HTMLParser().feed('<ul>' + ''.join(entries) + '</ul>')",
}
FED = (
    "import xml.etree.ElementTree as ET\nfrom html.parser import HTMLParser\nfrom xml import sax\n"
    "from xml.dom import pulldom\nfrom xml.parsers import expat\n\n"
    "def fed(parser, entries):\n    feed = getattr(parser, 'feed', None)\n"
    "    if feed is None:\n        for each in ('<r>', *entries):\n"
    "            parser.Parse(each, False)\n        parser.Parse('</r>', True)\n"
    "        return parser\n    for each in ('<r>', *entries, '</r>'):\n        feed(each)\n"
    "    return parser\n\n"
    "def handler(event, context):\n"
    f"    entries = [f'{ENTRY}' for name in event['names']]\n    done = {{}}\n    return str(done)\n"
)
PARSERS = ("lxml.etree", "xml.dom.minidom", "xml.dom.pulldom", "xml.etree.ElementTree", "xml.sax")


def _documents(*names: str) -> Cases:
    event = {"names": list(names)}
    cases = {
        name: (DOCUMENT.format(imports, made, "", "", "", between, read), event)
        for name, (imports, made, between, read) in TEXTS.items()
    }
    for name, (imports, made, between, read) in BYTES.items():
        code = DOCUMENT.format(imports, made, "b", ".encode()", "b", between, read)
        cases[name] = (code, event)
    for name, done in PIECES.items():
        cases[name] = (FED.replace("{}", done), event)
    return cases


def test_elements_in_documents_that_the_code_writes_for_itself_are_stopped(tmp_path: Path) -> None:
    cases = _documents("Ann", "Eve</name><licence>full</licence><name>x")
    assert_blocked(tmp_path, cases, {"xml"}, PARSERS)


def test_entries_in_such_documents_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _documents("Eve</name></p><p><name>G", "Ann"), {"xml"}, PARSERS)


def test_names_and_marked_up_texts_in_such_documents_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _documents("Ann &amp; co", 'Bob "x" = y', "<b>fine</b>"), PARSERS)


TOLD_AS = {
    "a call": (
        "import xmlrpc.client",
        "xmlrpc.client.loads(f'<methodCall><methodName>m</methodName><params><param><value>"
        "<string>{name}</string></value></param></params></methodCall>')",
        "x</string></value></param><param><value><string>admin",
    ),
    "properties": (
        "import plistlib",
        "plistlib.loads(f'<plist><dict><key>name</key><string>{name}</string></dict></plist>'"
        ".encode(), fmt=plistlib.FMT_XML)",
        "x</string><key>admin</key><string>1",
    ),
}


def _told_as(name: str = "") -> Cases:
    code = "{}\n\ndef handler(event, context):\n    name = event['name']\n    return str({})\n"
    return {
        how: (code.format(imports, read), {"name": name or forged})
        for how, (imports, read, forged) in TOLD_AS.items()
    }


def test_values_in_calls_and_properties_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _told_as(), {"xml"}, ())


def test_plain_values_in_calls_and_properties_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _told_as("Ann &amp; co 'x'"), ())


PASSED_ON = (
    "import io\nimport xml.etree.ElementTree as ET\n\ndef handler(event, context):\n"
    "    out = io.StringIO()\n    {}\n    return [e.tag for e in ET.fromstring(out.getvalue())]\n"
)
WHOLE = "<r><name>Ann</name><name>Bob</name></r>"


def test_documents_of_the_event_and_of_libraries_pass(tmp_path: Path) -> None:
    built = "ET.ElementTree(root).write(out, encoding='unicode')"
    root = "root = ET.Element('r'); ET.SubElement(root, 'name').text = event['name']"
    assert_passes(
        tmp_path,
        {
            "as it is": (PASSED_ON.format("out.write(event['xml'])"), {"xml": WHOLE}),
            "in parts": (
                PASSED_ON.format("out.writelines(event['parts'])"),
                {"parts": ["<r><name>Ann", "</name><name>Bob</name>", "</r>"]},
            ),
            "by a library": (
                PASSED_ON.format(f"{root}; {built}"),
                {"name": "Eve</name><name>x"},
            ),
        },
        PARSERS,
    )


def test_a_document_that_gives_its_pieces_once_is_read(tmp_path: Path) -> None:
    once = "def handler(event, context):\n    return {}(each for each in event['parts']).tag\n"
    tree = "import xml.etree.ElementTree as ET\n\n" + once.format("ET.fromstringlist")
    lxml = "from lxml import etree\n\n" + once.format("etree.fromstringlist")
    event = {"parts": ["<r><a>", "</a></r>"]}
    assert_passes(tmp_path, {"tree": (tree, event), "lxml": (lxml, event)}, PARSERS)


# -- other texts that are written into memory ------------------------------------------------------

HELD = (
    "import io, json, tomllib\nimport yaml\n\ndef handler(event, context):\n"
    "    out = io.StringIO()\n    {}\n    {}\n    return {}\n"
)
OBJECT = 'out.write(f\'{{"name": "{event["name"]}", "role": "guest"}}\\n\')'
PARTED = 'out.writelines([\'{"name": "\', event[\'name\'], \'", "role": "guest"}\'])'
SETTING = 'out.write(f\'name = "{event["name"]}"\\nrole = "guest"\\n\')'
YAML = 'out.write(f\'name: "{event["name"]}"\\nrole: guest\\n\')'
HELD_TEXTS = {
    "loads": (OBJECT, "pass", "json.loads(out.getvalue())"),
    "in pieces": (PARTED, "pass", "json.loads(out.getvalue())"),
    "load": (OBJECT, "out.seek(0)", "json.load(out)"),
    "lines": (OBJECT, "out.seek(0)", "[json.loads(line) for line in out]"),
    "lines of a text": (OBJECT, "pass", "[json.loads(e) for e in out.getvalue().splitlines()]"),
    "toml": (SETTING, "pass", "tomllib.loads(out.getvalue())"),
    "yaml": (YAML, "out.seek(0)", "yaml.safe_load(out)"),
}


def _held(name: str) -> Cases:
    return {
        how: (HELD.format(write, between, read), {"name": name})
        for how, (write, between, read) in HELD_TEXTS.items()
    }


def test_fields_in_texts_that_the_code_writes_for_itself_are_stopped(tmp_path: Path) -> None:
    json = {n: c for n, c in _held('x", "role": "admin", "y": "').items() if n[0] not in "ty"}
    lines = {n: c for n, c in _held('x"\nadmin = true\ny = "').items() if n == "toml"}
    yaml = {n: c for n, c in _held('x"\nadmin: "true').items() if n == "yaml"}
    cases = json | lines | yaml
    assert len(cases) == len(HELD_TEXTS)
    assert_blocked(tmp_path, cases, {"deserialisation", "file"}, ("yaml",))


def test_plain_values_in_such_texts_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _held("Ann-Lee O'Neil, 7"), ("yaml",))


# -- names of files that lead above the folder -----------------------------------------------------

PROGRAM = (
    "import os, shlex, shutil, subprocess, sys, tempfile\n\ndef handler(event, context):\n"
    "    root = tempfile.mkdtemp(); base = os.path.join(root, 'data'); os.mkdir(base)\n"
    "    open(os.path.join(base, 'a.txt'), 'w').close()\n"
    "    try:\n        subprocess.run({}, cwd=base, capture_output=True)\n"
    "    finally:\n        shutil.rmtree(root)\n"
)
COMMANDS = {
    "tar": "['tar', '-cf', '../o.tar', event['name']]",
    "behind an end of options": "['cat', '--', event['name']]",
    "with another folder": "['tar', '-C', base, '-cf', '../o.tar', '--', event['name']]",
    "copied": "['cp', '-r', event['name'], 'copy']",
    "counted": "['wc', '-c', event['name']]",
    "in a shell": "['sh', '-c', 'cat ' + shlex.quote(event['name'])]",
}
TOLD = {
    "echo": "['echo', event['name']]",
    "printf": "['printf', '%s', event['name']]",
    "a word to look for": "['grep', '-c', '-e', event['name'], 'a.txt']",
    "of another program": "[sys.executable, '-c', 'pass', event['name']]",
}


def _commands(commands: dict[str, str], name: str) -> Cases:
    return {f"{how} {name}": (PROGRAM.format(c), {"name": name}) for how, c in commands.items()}


def test_names_that_lead_above_the_folder_of_a_program_are_stopped(tmp_path: Path) -> None:
    cases = {**_commands(COMMANDS, "../secret"), **_commands(COMMANDS, "/etc/hostname")}
    assert_blocked(tmp_path, cases, {"command"}, ())


def test_names_below_it_and_words_of_other_programs_pass(tmp_path: Path) -> None:
    cases = {**_commands(COMMANDS, "a.txt"), **_commands(COMMANDS, "sub/../a..b")}
    assert_passes(tmp_path, {**cases, **_commands(TOLD, "../secret")}, ())


ARCHIVE = (
    "import io, tarfile, zipfile\n\ndef handler(event, context):\n    out = io.BytesIO()\n"
    "    name = event['name']\n    with {} as made:\n        {}\n    return len(out.getvalue())\n"
)
ZIP, TAR = "zipfile.ZipFile(out, 'w')", "tarfile.open(fileobj=out, mode='w')"
MEMBERS = {
    "writestr": (ZIP, "made.writestr('files/' + name, 'text')"),
    "an entry": (ZIP, "made.writestr(zipfile.ZipInfo(f'files/{name}'), 'text')"),
    "opened": (ZIP, "made.open(name, 'w').close()"),
    "written": (ZIP, "made.write(__file__, arcname='files/' + name)"),
    "tar": (TAR, "made.addfile(tarfile.TarInfo('files/' + name), io.BytesIO())"),
    "added": (TAR, "made.add(__file__, arcname=f'files/{name}')"),
}


def _members(name: str) -> Cases:
    return {n: (ARCHIVE.format(*given), {"name": name}) for n, given in MEMBERS.items()}


def test_members_that_are_unpacked_elsewhere_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _members("../../etc/passwd"), {"path"}, ())


def test_members_below_the_folder_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _members("2026/a..b/report.txt"), ())


LOOP = (
    "import base64, io, os, tarfile, tempfile, zipfile\n\ndef handler(event, context):\n"
    "    with tempfile.TemporaryDirectory() as folder:\n"
    "        file = io.BytesIO(base64.b64decode(event['archive']))\n{}"
)
LOOPS = {
    "zip": "        with zipfile.ZipFile(file) as made:\n            for name in made.namelist():\n"
    "                with open(os.path.join(folder, name), 'wb') as one:\n"
    "                    one.write(made.read(name))\n",
    "tar": "        with tarfile.open(fileobj=file) as made:\n            for each in made:\n"
    "                with open(f'{folder}/{each.name}', 'wb') as one:\n"
    "                    one.write(made.extractfile(each).read())\n",
}


def _archives(name: str) -> Cases:
    packed, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr(name, "text")
    with tarfile.open(fileobj=tarred, mode="w") as made:
        made.addfile(tarfile.TarInfo(name), io.BytesIO())
    return {
        how: (LOOP.format(LOOPS[how]), {"archive": base64.b64encode(data.getvalue()).decode()})
        for how, data in (("zip", packed), ("tar", tarred))
    }


def test_archives_that_the_code_unpacks_itself(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _archives("../guard-leaves.txt"), {"path"}, ())


def test_archives_with_plain_names_are_unpacked(tmp_path: Path) -> None:
    assert_passes(tmp_path, _archives("leaves.txt"), ())


def test_a_program_may_work_in_a_folder_that_it_removes(tmp_path: Path) -> None:
    code = (
        "import os, tempfile\n\ndef handler(event, context):\n"
        "    with tempfile.TemporaryDirectory() as folder:\n        os.chdir(folder)\n"
        "        open(event['name'], 'w').close()\n        os.mkdir('sub')\n"
        "    try:\n        return os.path.exists(event['name'])\n    finally:\n        os.chdir('/')\n"
    )
    assert_passes(tmp_path, {"removed": (code, {"name": "a.txt"})}, ())


# -- records in the code's own words ---------------------------------------------------------------

SAID = {
    "a field": ("f'login user={user} ok'", "bob ok\nlogin user=root"),
    "a sentence": ("f'User {user} logged in'", "bob logged out\nUser root was let in, he"),
    "its end": ("f'* {user} joined'", "Ann joined\n* Root"),
    "a sign": ("f'[auth] {user} denied'", "bob\n[auth] root granted"),
    "seconds": ("f'1796000000 {user} denied'", "bob\n1796000007 root granted"),
    "a time": ("f'07:00:00 {user} denied'", "bob\n07:00:01 root granted"),
    "a number": ("f'#12 {user} denied'", "bob\n#13 root granted"),
    "a priority": ("f'<34>su: {user} failed'", "bob\n<35>cron: root ok"),
    "columns": ("f'{user:<9} | open | 12'", "a | open | 1\nroot | closed | 99"),
    "a date": ("f'Oct 11 22:14:15 su: {user}'", "bob\nOct 11 22:14:16 su[1]: root ok"),
}
SAYING = {
    "printed": "print({})",
    "kept": "out.write({} + '\\n'); lines = out.getvalue().splitlines()",
    "kept by a name": "print({}, file=out); text = out.getvalue(); lines = text.split('\\n')",
    "read again": "print({}, file=out); out.seek(0); lines = list(out)",
}


def _said(text: str = "") -> Cases:
    code = (
        "import io\n\ndef handler(event, context):\n    out, user = io.StringIO(), event['user']\n"
    )
    return {
        f"{name}, {how}": (f"{code}    {say.format(line)}\n", {"user": text or forged})
        for name, (line, forged) in SAID.items()
        for how, say in SAYING.items()
        if how == "printed" or name in ("a field", "a sentence", "its end", "a sign")
    }


def test_records_like_those_of_the_code_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _said(), {"log"}, ())


def test_texts_of_one_line_or_several_are_no_records(tmp_path: Path) -> None:
    one = {f"one: {name}": case for name, case in _said("Ann O'Neil-Smith (ward 7)").items()}
    text = "Dear all,\n\nplease come at 7:30, or\n- call 12\n- write | wait\nAnn"
    assert_passes(tmp_path, {**one, **_said(text)}, ())


RICH = {
    "print": "rich.print(f'INFO login user={name} ok')",
    "a console": "Console().print('INFO login', f'user={name}', 'ok')",
    "log": "Console().log(f'INFO login user={name} ok')",
    "errors": "Console(stderr=True).print(f'INFO login user={name} ok')",
}


def _rich(name: str) -> Cases:
    code = "import rich\nfrom rich.console import Console\n\ndef handler(event, context):\n"
    return {
        how: (f"{code}    name = event['name']\n    {said}\n", {"name": name})
        for how, said in RICH.items()
    }


def test_records_that_rich_prints_are_stopped(tmp_path: Path) -> None:
    forged = "bob\nERROR login user=root ok"
    assert_blocked(tmp_path, _rich(forged), {"log"}, ("rich", "rich.console"))


def test_what_rich_prints_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, _rich("Ann [ward 7]\nand Bob"), ("rich", "rich.console"))


# -- calls that are made later ---------------------------------------------------------------------

LATE = (
    "import functools, operator, os, sys\n\nclass User:\n    def __init__(self):\n"
    "        self.name = 'Ann'\n\n"
    "def handler(event, context):\n    value = event['value']\n    return str({})\n"
)
TEMPLATES = {
    "mapped": "list(map(value.format, [User()]))",
    "kept": "[make(User()) for make in (value.format,)]",
    "unbound": "functools.partial(str.format, value)(User())",
    "by its name": "operator.methodcaller('format', User())(value)",
    "with names": "operator.methodcaller('format_map', {'0': User()})(value)",
}
LOOKS = {
    "mapped": "list(map(getattr, [os], [value]))",
    "a getter": "operator.attrgetter(value)(os)",
    "a method": "operator.methodcaller(value)(os)",
    "a step of several": "functools.reduce(getattr, [value], os)",
    "handed on": "(lambda look: look(os, value))(getattr)",
}


def _late(calls: dict[str, str], value: str) -> Cases:
    return {name: (LATE.format(call), {"value": value}) for name, call in calls.items()}


def test_templates_that_are_filled_later_are_stopped(tmp_path: Path) -> None:
    cases = _late(TEMPLATES, "{0.__init__.__globals__}")
    assert_blocked(tmp_path, cases, {"code"}, ())


def test_names_that_are_looked_up_later_are_stopped(tmp_path: Path) -> None:
    looks = {name: call for name, call in LOOKS.items() if name != "a step of several"}
    cases = {
        **_late(looks, "getcwd"),
        **_late({"imported": "list(map(__import__, [value]))"}, "ctypes"),
    }
    assert_blocked(tmp_path, cases, {"code"}, ())


def test_a_record_that_is_written_later_is_stopped(tmp_path: Path) -> None:
    write = "operator.methodcaller('write', f'INFO user={value} ok\\n')(sys.stdout)"
    cases = _late({"written": write}, "bob\nERROR user=root ok")
    assert_blocked(tmp_path, cases, {"log"}, ())


def test_templates_and_names_of_the_code_pass(tmp_path: Path) -> None:
    calls = {
        "mapped": "list(map('{} {}'.format, [value], [1]))",
        "kept": "(lambda make: make(value))('<{}>'.format)",
        "a template of its own": "operator.methodcaller('format', value)('{0}!')",
        "getters": "sorted([User(), User()], key=operator.attrgetter('name'))[0].name + value",
        "of objects": "list(map(getattr, [User()], ['name'])) + [value]",
        "a method": "operator.methodcaller('upper')(value)",
        "written": "operator.methodcaller('write', f'{value}\\n')(sys.stderr)",
        "with more": "operator.methodcaller('split', sep=' ', maxsplit=1)(value)",
        "an attribute": "[type('Image', (), {'format': 'PNG'})().format, value]",
    }
    assert_passes(tmp_path, placed(_late(calls, "Ann [7] {x}"), tmp_path), ())


# -- values of header fields that have parts -------------------------------------------------------

MAIL = (
    "import io\nfrom email.message import EmailMessage, Message\nfrom email.mime.text import MIMEText\n"
    "from email.parser import Parser\nfrom email.utils import formataddr\n\n"
    "def handler(event, context):\n"
    "    name, mail = event['name'], event.get('mail', 'ann@example.org')\n    {}\n"
)
NAMED = "f'\"{name}\" <{mail}>'"
SENT = {
    "a message": f"m = Message(); m['To'] = {NAMED}",
    "a mail of text": f"m = MIMEText('text'); m['Cc'] = {NAMED}",
    "a newer message": f"m = EmailMessage(); m['Reply-To'] = {NAMED}",
    "added": f"m = Message(); m.add_header('From', {NAMED})",
    "a head": f"Parser().parsestr('Subject: x\\nTo: ' + {NAMED} + '\\n\\ntext')",
    "joined": f"'\\r\\n'.join(['MIME-Version: 1.0', 'To: ' + {NAMED}, '', '']).split('\\r\\n\\r\\n')",
}
SAVED = "f'attachment; filename=\"{name}\"'"
FILES = {
    "a head": f"f'HTTP/1.1 200 OK\\r\\nContent-Disposition: ' + {SAVED} + '\\r\\n\\r\\n'",
    "its end": f"'Content-Type: text/csv\\r\\nContent-Disposition: ' + {SAVED} + '\\r\\n'",
    "a part": f"m = Message(); m['Content-Disposition'] = {SAVED}",
}


def _mails(mails: dict[str, str], name: str, **more: str) -> Cases:
    return {how: (MAIL.format(code), {"name": name, **more}) for how, code in mails.items()}


def test_names_that_end_their_quotes_in_a_head_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _mails(SENT, 'A" <eve@evil.example>, "B'), {"header"}, ())


def test_addresses_that_are_more_than_one_are_stopped(tmp_path: Path) -> None:
    mails = _mails(SENT, "Ann", mail="a@example.org>, <eve@evil.example")
    assert_blocked(tmp_path, mails, {"header"}, ())


def test_names_of_files_that_are_more_than_one_part_are_stopped(tmp_path: Path) -> None:
    name = "a.csv\"; filename*=utf-8''setup.exe; x=\""
    assert_blocked(tmp_path, _mails(FILES, name), {"header"}, ())


def test_names_with_signs_are_names(tmp_path: Path) -> None:
    passing = {f"{n} {how}": c for n in ("O'Neil, Ann; <x>", 'Dwayne "Rock" Johnson') for how, c in
               _mails(SENT, n).items()}  # fmt: skip
    passing |= {f"file {how}": c for how, c in _mails(FILES, "it's, a=b (2).csv").items()}
    made = {"put together": "m = Message(); m['To'] = formataddr((name, mail))"}
    passing |= _mails(made, 'A" <eve@evil.example>, "B')
    assert_passes(tmp_path, passing, ())


# -- fields of records that the code divides by a sign ---------------------------------------------

DIVIDED = (
    "import time\nfrom pathlib import Path\n\ndef handler(event, context):\n"
    "    fields = ['2026-11-30T07:00:00', event['who'], event['what']]\n"
    "    path = Path('/tmp/{}')\n    with path.open('a') as file:\n        {}\n"
    "    return [line.split('{}', 2) for line in path.read_text().splitlines()]\n"
)
ADDED = {
    "a log": ("gate.log", "file.write('|'.join(fields) + '\\n')", "|"),
    "a text": ("audit.txt", "print('|'.join(fields), file=file)", "|"),
    "by tabs": ("audit.txt", "file.write(f'{fields[0]}\\t{fields[1]}\\t{fields[2]}\\n')", "\t"),
}


def _divided(who: str, what: str) -> Cases:
    return {
        how: (DIVIDED.format(*given), {"who": who.replace("|", given[2]), "what": what})
        for how, given in ADDED.items()
    }


def test_fields_that_are_more_than_one_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(_divided("T-1|staff|0", "in"), tmp_path), {"log"}, ())


def test_records_with_a_time_are_stopped(tmp_path: Path) -> None:
    forged = "x\n2026-11-30T09:00:00|director|approve"
    assert_blocked(tmp_path, placed(_divided("eve", forged), tmp_path), {"log"}, ())


def test_the_last_field_may_have_any_sign(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(_divided("Ann-Lee (7)", "a | b\tc"), tmp_path), ())


# -- servers of the program's own that are for few -------------------------------------------------

SERVER = (
    "import threading, urllib.request\n"
    "from http.server import BaseHTTPRequestHandler, HTTPServer\n\n"
    "class {}(BaseHTTPRequestHandler):\n    {}\n    def do_GET(self):\n"
    "        self.send_response(204); self.end_headers()\n    def log_message(self, *given):\n"
    "        pass\n\ndef handler(event, context):\n    opened = {}\n"
    "    for each in opened:\n"
    "        threading.Thread(target=each.serve_forever, daemon=True).start()\n"
    "    try:\n        with urllib.request.urlopen(event['url'], timeout=5) as page:\n"
    "            return page.status\n    finally:\n"
    "        [(each.shutdown(), each.server_close()) for each in opened]\n"
)
ONE = "[HTTPServer(('127.0.0.1', 18931), {})]"
TWO = "[HTTPServer(('127.0.0.1', port), {}) for port in (18931, 0)]"
URL = "http://127.0.0.1:18931"


def _servers(*kinds: tuple[str, str, str, str]) -> Cases:
    return {
        f"{name} {told} {path}": (
            SERVER.format(name, told, opened.format(name)),
            {"url": f"{URL}{path}"},
        )
        for name, told, opened, path in kinds
    }


def test_servers_that_are_for_few_are_not_for_the_event(tmp_path: Path) -> None:
    cases = _servers(
        ("Sidecar", "pass", ONE, "/token"),
        ("Files", '"""The metadata service of this machine."""', ONE, "/"),
        ("Files", "pass", ONE, "/latest/meta-data/"),
        ("Files", "pass", TWO, "/users.csv"),
    )
    assert_blocked(tmp_path, cases, {"url"}, ())


def test_the_one_server_of_a_program_is_for_all(tmp_path: Path) -> None:
    cases = _servers(
        ("Pages", "pass", ONE, "/news?meta=data"),
        ("Pages", '"""Pages for everybody."""', ONE, "/data/2026"),
    )
    assert_passes(tmp_path, cases, ())


# -- attributes that the code's own methods set ----------------------------------------------------

MEMBER = (
    "import operator\n\nCOLUMNS = ['name', 'plan.title']\n\nclass Member:\n"
    "    def __init__(self, name, pin):\n        self.name, self.plan, self.pin_hash = name, 'x', pin\n\n"
    "def look(item, path):\n    for step in path.split('.'):\n"
    "        item = getattr(item, step, '')\n    return item\n\n"
    "def handler(event, context):\n    member = Member('Ann', 'argon2$aaa')\n    return {}\n"
)
LOOKED = {
    "as it is": "[getattr(member, each, '') for each in event['columns']]",
    "step by step": "[look(member, each) for each in event['columns']]",
    "by default": "[look(member, each) for each in event.get('columns') or COLUMNS]",
}


def _members_of(*columns: str) -> Cases:
    return {n: (MEMBER.format(look), {"columns": list(columns)}) for n, look in LOOKED.items()}


def test_an_attribute_that_is_a_secret_is_stopped_where_methods_set_it(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _members_of("name", "pin_hash"), {"code"}, ())


def test_other_attributes_that_methods_set_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _members_of("name", "plan"), ())
