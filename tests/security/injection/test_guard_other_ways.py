"""Other ways to what the guard knew: bound methods, descriptors, heads, values of classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

# -- records that are forged by other ways to a standard stream ------------------------------------

MODULES = "import codecs, collections, functools, io, logging, os, sys, traceback\n"
HANDLER = "def handler(event, context):\n    name = event['name']\n    {}\n"
WAYS = {
    "write by a name": HANDLER.format("put = sys.stdout.write; put(f'INFO user {name}\\n')"),
    "write by a name of the module": "put = sys.stdout.write\n"
    + HANDLER.format("put('INFO user ' + name + '\\n')"),
    "print by a name": HANDLER.format("say = print; say('INFO user', name)"),
    "print of a dictionary": "WAYS = {'log': print}\n"
    + HANDLER.format("WAYS['log'](f'INFO user {name}')"),
    "print with what it begins with": "log = functools.partial(print, 'INFO user', flush=True)\n"
    + HANDLER.format("log(name)"),
    "a default of print": "def emit(line, out=print):\n    out(line)\n"
    + HANDLER.format("emit(f'INFO user {name}')"),
    "a default of write": "def emit(line, *, out=sys.stderr.write):\n    out(line + '\\n')\n"
    + HANDLER.format("emit(f'INFO user {name}')"),
    "print within a class": "class Log:\n    out = print\n    def info(self, text):\n"
    "        self.out('INFO ' + text)\n" + HANDLER.format("Log().info('user ' + name)"),
    "write handed to a class": "class Log:\n    def __init__(self, out):\n        self.out = out\n"
    "    def info(self, text):\n        self.out('INFO ' + text + '\\n')\n"
    + HANDLER.format("Log(sys.stdout.write).info('user ' + name)"),
    "each of a list": HANDLER.format("list(map(print, [f'INFO user {name}']))"),
    "getattr": HANDLER.format("getattr(sys.stdout, 'write')(f'INFO user {name}\\n')"),
    "a function of os": "from os import write as put\n"
    + HANDLER.format("put(1, f'INFO user {name}\\n'.encode())"),
    "several at once": HANDLER.format(
        "os.writev(1, [b'INFO user ', name.encode(), b'\\n'])",
    ),
    "an array of bytes": HANDLER.format(
        "sys.stdout.buffer.write(bytearray(f'INFO user {name}\\n'.encode()))"
    ),
    "a file over the stream": HANDLER.format(
        "out = io.TextIOWrapper(sys.stdout.buffer, write_through=True); "
        "out.write(f'INFO user {name}\\n'); out.detach()"
    ),
    "a file over the descriptor": "OUT = open(1, 'w', closefd=False, buffering=1)\n"
    + HANDLER.format("OUT.write(f'INFO user {name}\\n')"),
    "printed into such a file": HANDLER.format(
        "print('INFO user', name, file=os.fdopen(2, 'w', closefd=False))"
    ),
    "a copy of the descriptor": HANDLER.format(
        "out = os.fdopen(os.dup(1), 'wb', buffering=0); out.write(f'INFO user {name}\\n'.encode())"
    ),
    "the descriptor by its path": HANDLER.format(
        "print(f'INFO user {name}', file=open('/dev/stderr', 'w'))"
    ),
    "a codec": HANDLER.format(
        "codecs.getwriter('utf-8')(sys.stdout.buffer).write(f'INFO user {name}\\n')"
    ),
    "lines of a generator": "def lines(name):\n    yield 'INFO user '\n    yield name\n"
    + HANDLER.format("sys.stderr.writelines(lines(name))"),
    "lines of an object": "class Lines:\n    def __init__(self, name):\n        self.name = name\n"
    "    def __iter__(self):\n        yield from ('INFO user ', self.name, '\\n')\n"
    + HANDLER.format("sys.stderr.writelines(Lines(name))"),
    "lines of a deque": HANDLER.format(
        "sys.stderr.writelines(collections.deque(['INFO user ', name, '\\n']))"
    ),
    "click": "import click\n" + HANDLER.format("click.echo(f'INFO user {name}', err=True)"),
}
LOGGER = "logger = logging.getLogger('orders')\nlogger.addHandler({})\nlogger.setLevel(10)\n"
OWN_FORM = (
    "class Form(logging.Formatter):\n    def format(self, record):\n"
    "        return f'{record.levelname} {record.getMessage()}'\n\n"
    "own = logging.StreamHandler(sys.stdout)\nown.setFormatter(Form())\n"
)
OWN_HANDLER = (
    "class Own(logging.StreamHandler):\n    def format(self, record):\n"
    "        return f'{record.levelname} {record.getMessage()}'\n\nown = Own(sys.stdout)\n"
)
LOGGED = HANDLER.format("logger.info('user %s', name)")
TRACED = "try: raise LookupError(f'no user {{name}}')\n    except LookupError as error: {}"
WAYS |= {
    "a form of the code's": OWN_FORM + LOGGER.format("own") + LOGGED,
    "a handler that forms by itself": OWN_HANDLER + LOGGER.format("own") + LOGGED,
    "a trace": HANDLER.format(TRACED.format("traceback.print_exc(file=sys.stdout)")),
    "a trace on error": HANDLER.format(TRACED.format("traceback.print_exception(error)")),
    "a trace that is printed": HANDLER.format(TRACED.format("print(traceback.format_exc())")),
    "a trace of a trace": HANDLER.format(
        TRACED.format("traceback.TracebackException.from_exception(error).print()")
    ),
}


def _cases(ways: dict[str, str], names: list[str]) -> Cases:
    return {
        f"{way} {number}": (MODULES + code, {"name": name})
        for way, code in ways.items()
        for number, name in enumerate(names)
    }


def test_records_by_other_ways_to_a_standard_stream_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _cases(WAYS, ["Ana\nINFO user root is in"]), {"log"}, ())


def test_lines_by_these_ways_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _cases(WAYS, ["Ana Lima", "Ana\nLima, INFO"]), ())


NO_RECORDS = {
    "a file of its own": HANDLER.format(
        "put = open('/dev/null', 'w').write; put(f'INFO user {name}\\n')"
    ),
    "memory": HANDLER.format(
        "out = io.StringIO(); put = out.write; put(f'INFO user {name}\\n'); out.writelines('ab')"
    ),
    "a copy of no standard stream": HANDLER.format(
        "out = os.fdopen(os.dup(os.pipe()[1]), 'w'); out.write(f'INFO user {name}\\n')"
    ),
    "a function of the code's": "def print_it(write, text):\n    write(text)\n"
    + HANDLER.format("kept = []; print_it(kept.append, f'INFO user {name}')"),
    "an object of the code's": "class Sink:\n    def write(self, text):\n        self.text = text\n"
    + HANDLER.format("put = Sink().write; put(f'INFO user {name}\\n')"),
    "lines below a trace's own": HANDLER.format(
        "try: raise ValueError('these lines are no orders:\\n' + name)\n"
        "    except ValueError: traceback.print_exc()"
    ),
}


def test_what_leads_to_no_standard_stream_passes(tmp_path: Path) -> None:
    assert_passes(tmp_path, _cases(NO_RECORDS, ["Ana\nINFO user root is in"]), ())


BOUND = (
    "import builtins, inspect, pickle, sys\n\nclass Log:\n    out = print\n\n"
    "def handler(event, context):\n    say, put = print, sys.stdout.write\n"
    "    assert say is Log.out is Log().out and callable(say) and say.__name__ == 'print'\n"
    "    assert pickle.loads(pickle.dumps(say)) is builtins.print\n"
    "    assert 'sep' in inspect.signature(say).parameters\n"
    "    assert put.__self__ is sys.stdout and put('a\\n') == 2\n    Log().out('x', end=' end\\n')\n"
    "    return repr(say)\n"
)


def test_what_is_bound_is_the_function_to_whoever_asks_it(tmp_path: Path) -> None:
    assert_passes(tmp_path, {"bound": (BOUND, {"name": "Ana"})}, ())


# -- heads that the code reads itself --------------------------------------------------------------

HEADS = {
    "an answer": "'HTTP/1.1 200 OK\\r\\nX-Name: ' + name + '\\r\\nX-Rest: 1\\r\\n\\r\\nbody'",
    "a request": "f'GET / HTTP/1.1\\r\\nX-Name: {name}\\r\\nHost: shop.example\\r\\n\\r\\n'",
    "fields": "f'X-Name: {name}\\r\\nX-Other: 1\\r\\n\\r\\nbody'",
    "fields of a list": "'\\r\\n'.join(['HTTP/1.1 302 Found', 'Location: /' + name, '', ''])",
    "fields of a dictionary": "''.join(f'{k}: {v}\\r\\n' for k, v in "
    "{'Host': 'shop.example', 'X-Name': name}.items()) + '\\r\\n'",
    "a template": "HEAD % name",
    "a template in braces": "FORM.format(name=name)",
    "an answer for a gateway": "f'Status: 200 OK\\nX-Name: {name}\\n\\nbody'",
    "bytes": "(b'HTTP/1.1 200 OK\\r\\nX-Name: ' + name.encode() + b'\\r\\n\\r\\n').decode()",
}
TEMPLATES = (
    "HEAD = 'Content-Type: text/plain\\r\\nX-Name: %s\\r\\n\\r\\n'\n"
    "FORM = 'HTTP/1.1 200 OK\\r\\nX-Name: {name}\\r\\n\\r\\n'\n"
)
READERS = {
    "readline": "file, fields = io.BytesIO(text.encode()), []\n"
    "    while (line := file.readline().strip()):\n        fields.append(line)\n",
    "lines of a file": "fields = [line.rstrip() for line in io.StringIO(text)]\n",
    "a pattern": "fields = re.findall(r'(?m)^([\\w-]+): (.*)$', text)\n",
    "places": "fields, at = [], 0\n    while (end := text.find('\\n', at)) >= 0:\n"
    "        fields.append(text[at:end]); at = end + 1\n",
    "character by character": "fields, line = [], ''\n    for sign in text:\n"
    "        if sign == '\\n':\n            fields.append(line); line = ''\n"
    "        else:\n            line += sign\n",
    "lines of bytes": "fields = text.encode().split(b'\\n')\n",
}
READ = (
    "\ndef handler(event, context):\n    name = event['name']\n    text = {}\n    {}"
    "    return len(fields)\n"
)
READ_BY = f"import io, re\n{TEMPLATES}"
MAIL = "f'From: a@shop.example\\nSubject: {name}\\nTo: b@shop.example\\n\\nbody'"
MAIL_READERS = {
    "readline": READERS["readline"],
    "lines of a file": READERS["lines of a file"],
    "lines": "fields = text.splitlines()\n",
    "lines of bytes": READERS["lines of bytes"],
    "one by one": "fields, rest = [], text\n    while rest:\n"
    "        line, _, rest = rest.partition('\\n'); fields.append(line)\n",
}


def _read(names: list[str]) -> Cases:
    texts = [(head, text, READERS) for head, text in HEADS.items()] + [("mail", MAIL, MAIL_READERS)]
    return {
        f"{head} by {reader} {number}": (READ_BY + READ.format(text, how), {"name": name})
        for head, text, readers in texts
        for reader, how in readers.items()
        for number, name in enumerate(names)
    }


def test_a_field_within_a_head_that_the_code_reads_is_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, _read(["Ana\r\nX-Admin: yes", "Ana\nX-Admin: 1"]), {"header"}, ())


def test_values_of_one_line_in_such_a_head_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _read(["Ana Lima", "Ana: GET / HTTP/1.1, Lima"]), ())


NO_HEADS = {
    "a body": "f'Content-Type: text/plain\\r\\nX-Id: 1\\r\\n\\r\\n{name}\\r\\n'",
    "a part of a form": "f'Content-Disposition: form-data; name=\"note\"\\r\\n\\r\\n{name}\\r\\n--b'",
    "a head of the event's own": "f'X-Gate: mail\\r\\n{name}\\r\\n\\r\\nbody'",
    "a text for people": "f'Name: Ana\\r\\nNote: {name}\\r\\nDate: 5 May\\r\\n'",
    "a text like a mail": "f'From: Ana\\nSubject: order\\nMessage: {name}\\nTo: shop'",
    "the body of a mail": "f'From: Ana\\nSubject: order\\n\\n{name}'",
    "lines of a table": "'\\r\\n'.join(['name;note', 'Ana;' + name])",
    "a folded line": "'X-Note: ' + name.replace('\\n', '\\r\\n ') + '\\r\\nX-Id: 1\\r\\n\\r\\n'",
}


FOUND_BY_A_PATTERN = (("a text for people", "a pattern"), ("a text like a mail", "a pattern"))
"""Lines of people in which the code looks for fields all the same."""


def test_lines_elsewhere_than_in_such_a_head_pass(tmp_path: Path) -> None:
    cases = {
        f"{head} by {reader}": (
            READ_BY + READ.format(text, how),
            {"name": "Ana\nX-Admin: yes\nLima"},
        )
        for head, text in NO_HEADS.items()
        for reader, how in (READERS | MAIL_READERS).items()
        if (head, reader) not in FOUND_BY_A_PATTERN
    }
    assert_passes(tmp_path, cases, ())
    found = {
        f"{head} by {reader}": (
            READ_BY + READ.format(NO_HEADS[head], READERS[reader]),
            {"name": "Ana\nX-Admin: yes\nLima"},
        )
        for head, reader in FOUND_BY_A_PATTERN
    }
    assert_blocked(tmp_path, found, {"deserialisation", "header"}, ())


# -- values of a class that a program does not offer -----------------------------------------------

SHOPS = {
    "a class": "class Shop:\n    vault = '7731'\n"
    "    def __init__(self):\n        self.name, self.phone = 'Linz', '+43'\n\n"
    "class Order:\n    cap = 0.5\n    def __init__(self):\n"
    "        self.number, self.total, self.shop = 7, 5.0, Shop()\n",
    "a dataclass": "@dataclasses.dataclass\nclass Shop:\n    name: str = 'Linz'\n"
    "    phone: str = '+43'\n    vault: typing.ClassVar[str] = '7731'\n\n"
    "@dataclasses.dataclass\nclass Order:\n    number: int = 7\n    total: float = 5.0\n"
    "    shop: Shop = dataclasses.field(default_factory=Shop)\n"
    "    cap: typing.ClassVar[float] = 0.5\n",
}
OFFERS = {
    "a list": "OFFERED = ['number', 'total', 'shop.name', 'shop.phone']\n",
    "titles": "TITLES = {'number': 'No.', 'total': 'Total', 'shop.name': 'Shop', 'shop.phone': 'P'}\n",
    "rows": "ROWS = [{'field': 'number'}, {'field': 'total'}, {'field': 'shop.name'}, "
    "{'field': 'shop.phone'}]\n",
}
LOOKS = {
    "attrgetter": "return operator.attrgetter(event['path'])(Order())",
    "getattr, step by step": "value = Order()\n    for step in event['path'].split('.'):\n"
    "        value = getattr(value, step)\n    return value",
    "reduce": "return functools.reduce(getattr, event['path'].split('.'), Order())",
    "getattr_static": "path = event['path'].rpartition('.')[2]\n"
    "    return inspect.getattr_static(Shop() if 'shop' in event['path'] else Order(), path)",
    "a method of the object": "path = event['path'].rpartition('.')[2]\n"
    "    return (Shop() if 'shop' in event['path'] else Order()).__getattribute__(path)",
    "a part of a template": "return ('{order.' + event['path'] + '}').format(order=Order())",
}
OF_CLASSES = {
    "its dictionary": "return vars(Shop)[event['path']]",
    "its dictionary by get": "return Shop.__dict__.get(event['path'])",
    "itself": "return getattr(Shop, event['path'])",
    "a whole template": "return ('{shop.' + event['path'] + '}').format(shop=Shop())",
    "a template of the event": "return event['template'].format(shop=Shop())",
}
LIBRARIES = "import dataclasses, functools, inspect, operator, typing\n"


def _looked_up(looks: dict[str, str], paths: list[str]) -> Cases:
    return {
        f"{kind}, {offer}, {how}, {path}": (
            f"{LIBRARIES}{shop}{offered}\ndef handler(event, context):\n    {code}\n",
            {"path": path, "template": f"{{shop.{path}}}"},
        )
        for kind, shop in SHOPS.items()
        for offer, offered in OFFERS.items()
        for how, code in looks.items()
        for path in paths
    }


def test_values_of_a_class_that_are_not_offered_are_stopped(tmp_path: Path) -> None:
    cases = {**_looked_up(LOOKS, ["shop.vault", "cap"]), **_looked_up(OF_CLASSES, ["vault"])}
    assert_blocked(tmp_path, cases, {"code"}, ())


def test_fields_that_are_offered_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, _looked_up(LOOKS, ["shop.name", "total"]), ())


@pytest.mark.parametrize("kind", SHOPS)
def test_values_of_a_class_pass_where_nothing_else_is_offered(tmp_path: Path, kind: str) -> None:
    look = "\ndef handler(event, context):\n    return getattr(Shop(), event['path'])\n"
    offered = "OFFERED = ['name', 'phone', 'vault']\n"
    checked = "KNOWN = {'vault'}\nOFFERED = ['name', 'phone']\n"
    asked = look.replace("    return", "    if event['path'] in KNOWN:\n        return")
    cases: Cases = {
        "no list": (LIBRARIES + SHOPS[kind] + look, {"path": "vault"}),
        "in the list": (LIBRARIES + SHOPS[kind] + offered + look, {"path": "vault"}),
        "checked": (LIBRARIES + SHOPS[kind] + checked + asked, {"path": "vault"}),
    }
    assert_passes(tmp_path, cases, ())
