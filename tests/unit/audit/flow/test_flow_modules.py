"""Functions in several files, and what a flow tells."""

from __future__ import annotations

import textwrap

from casemate.audit.flow import Entry, analyse

HANDLER = Entry(path="app.py", name="handler")


def told(**files: str) -> list[str]:
    texts = {f"{name.replace('__', '/')}.py": textwrap.dedent(text) for name, text in files.items()}
    return [flow.weakness for flow in analyse(texts, [HANDLER]).flows]


def test_modules_are_followed_by_each_form_of_import() -> None:
    run = "import os\nDEFAULT = 'ls'\ndef run(a):\n    os.system(a)\n"
    for line, call in (
        ("import lib", "lib.run"),
        ("import lib as other", "other.run"),
        ("from lib import run", "run"),
        ("from lib import run as go", "go"),
        ("from lib import *", "run"),
    ):
        app = f"{line}\ndef handler(event, context):\n    {call}(event['a'])\n"
        assert told(app=app, lib=run) == ["command"], line
        assert told(app=app.replace("event['a']", "'ls'"), lib=run) == []


def test_packages_and_relative_imports() -> None:
    app = "from shop.orders import api\ndef handler(event, context):\n    api.run(event['a'])\n"
    api = "from ..common import go\ndef run(a):\n    go(a)\n"
    common = "import os\ndef go(a):\n    os.system(a)\n"
    assert told(app=app, shop__orders__api=api, shop__common=common) == ["command"]


def test_globals_of_modules_keep_what_they_are_given() -> None:
    app = """
        import os, store
        def handler(event, context):
            store.last = event['a']
            os.system(store.get())
    """
    assert told(app=app, store="last = 'ls'\ndef get():\n    return last\n") == ["command"]
    assert (
        told(
            app=app.replace("store.last = ", "other = "),
            store="last = 'ls'\ndef get():\n    return last\n",
        )
        == []
    )


def test_modules_that_import_each_other() -> None:
    app = "import other\nA = 1\ndef handler(event, context):\n    other.run(event['a'])\n"
    other = "import os, app\ndef run(a):\n    os.system(a)\n"
    assert told(app=app, other=other) == ["command"]


def test_a_flow_tells_its_way() -> None:
    app = (
        "import html, lib\n"
        "def handler(event, context):\n"
        "    name = html.escape(event['name'])\n"
        "    lib.run(name)\n"
    )
    lib = "import os\ndef run(command):\n    os.system(command)\n"
    (flow,) = analyse({"app.py": app, "lib.py": lib}, [HANDLER]).flows
    assert (flow.source.kind, flow.source.what) == ("http", "event['name']")
    assert (flow.sink, flow.weakness, flow.call) == ("command", "command", "os.system")
    assert (flow.place.path, flow.place.line) == ("lib.py", 3)
    assert flow.sanitizers == ("html.escape",)
    assert flow.confidence == "high"
    assert [(step.place.path, step.place.line) for step in flow.steps] == [
        ("app.py", 3),
        ("app.py", 3),
        ("app.py", 4),
        ("lib.py", 3),
    ]


def test_a_call_that_is_not_known_makes_it_less_sure() -> None:
    app = "import os, other\ndef handler(event, context):\n    os.system(other.f(event['a']))\n"
    (flow,) = analyse({"app.py": app}, [HANDLER]).flows
    assert flow.confidence == "medium"


def test_an_object_that_is_not_known_is_judged_by_names() -> None:
    app = "def handler(event, context):\n    event.db.x\n    db = make()\n    db.execute(%s)\n"
    likely = analyse({"app.py": app % "'select ' + event['a']"}, [HANDLER]).flows
    assert [(flow.weakness, flow.confidence) for flow in likely] == [("sql", "medium")]
    assert not analyse({"app.py": app % "'run ' + event['a']"}, [HANDLER]).flows


def test_what_is_stored_is_told_where_it_does_the_worst_only() -> None:
    app = (
        "import boto3, pickle\n"
        "def handler(event, context):\n"
        "    s3 = boto3.client('s3')\n"
        "    body = s3.get_object(Bucket='a', Key='b')['Body'].read()\n"
        "    open(body)\n    pickle.loads(body)\n"
    )
    (flow,) = analyse({"app.py": app}, [HANDLER]).flows
    assert (flow.weakness, flow.source.kind, flow.confidence) == (
        "deserialisation",
        "stored",
        "medium",
    )


def test_what_is_stored_is_told_within_a_page_and_not_as_one() -> None:
    app = (
        "import boto3, html\ndef handler(event, context):\n"
        "    notes = boto3.resource('dynamodb').Table('notes')\n"
        "    text = notes.get_item(Key={'id': 'a'})['Item']['text']\n"
        "    headers = {'content-type': 'text/html'}\n"
        "    return {'statusCode': 200, 'headers': headers, 'body': %s}\n"
    )
    (flow,) = analyse({"app.py": app % "f'<p>{text}</p>'"}, [HANDLER]).flows
    assert (flow.weakness, flow.source.kind, flow.confidence) == ("markup", "stored", "low")
    assert not analyse({"app.py": app % "text"}, [HANDLER]).flows
    assert not analyse({"app.py": app % "html.escape(text)"}, [HANDLER]).flows


def test_newer_f_strings_are_read_by_an_older_python() -> None:
    app = (
        "import os\n"
        "def handler(event, context):\n"
        "    os.system(f'ls {event['a'].replace('\\n', '')} {f'{event[\"b\"]}'!s:>{4}}')\n"
        '    os.system(f"""ls {\n        event[\'c\']  # why\n    }""")\n'
    )
    analysis = analyse({"app.py": app}, [HANDLER])
    assert not analysis.unresolved
    assert [flow.place.line for flow in analysis.flows] == [3, 4]


def test_the_same_files_give_the_same_answer_in_any_order() -> None:
    files = {
        f"m{n}.py": f"import os\ndef handler(event, context):\n    os.system(event['{n}'])\n"
        for n in range(5)
    }
    entries = [Entry(path=path, name="handler") for path in files]
    backwards = dict(reversed(files.items()))
    assert analyse(files, entries) == analyse(backwards, list(reversed(entries)))


def test_checks_in_other_functions_hold_where_they_were_passed_only() -> None:
    lib = "def check(a):\n    if not a.isalnum():\n        raise ValueError(a)\n    return a\n"
    before = """
        import os, lib
        def handler(event, context):
            os.system(event['a'])
            lib.check(event['a'])
    """
    after = """
        import os, lib
        def handler(event, context):
            lib.check(event['a'])
            os.system(event['a'])
            os.system(event['b'])
    """
    assert told(app=before, lib=lib) == ["command"]
    assert told(app=after, lib=lib) == ["command"]


def test_libraries_beside_the_code_are_not_read() -> None:
    app = "import requests\ndef handler(event, context):\n    requests.get(event['a'])\n"
    broken = {"requests/__init__.py": "def get(a):\n    return a\n", "requests/api.py": "def ("}
    analysis = analyse({"app.py": app, **broken, "site-packages/b.py": "def ("}, [HANDLER])
    assert [flow.weakness for flow in analysis.flows] == ["url"]
    assert not analysis.unresolved


def test_a_module_of_the_code_may_be_called_as_a_library() -> None:
    app = "import records\ndef handler(event, context):\n    records.run(event['a'])\n"
    own = "import os\ndef run(a):\n    os.system(a)\n"
    assert told(app=app, records=own) == ["command"]
