"""Commands in handlers of every style: data that becomes shell, options, code; and safe twins."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from support.guard_cases import Cases, placed, run

PAYLOAD = "x; touch /tmp/never"
_B64 = base64.b64encode(PAYLOAD.encode()).decode()

VULNERABLE: Cases = {
    "os.system f-string": ("import os\nreturn os.system(f'ls {event[\"d\"]}')", {"d": PAYLOAD}),
    "os.system concatenation": (
        "import os\nreturn os.system('ls ' + event['d'])",
        {"d": "x && id"},
    ),
    "os.system percent": ("import os\nreturn os.system('ls %s' % event['d'])", {"d": "x | id"}),
    "os.system format": ("import os\nreturn os.system('ls {}'.format(event['d']))", {"d": "$(id)"}),
    "os.system named format": (
        "import os\nreturn os.system('ls {d} -l'.format(**event))",
        {"d": "`id`"},
    ),
    "os.system imported by name": (
        "from os import system\nreturn system('ls ' + event['d'])",
        {"d": "a\nid"},
    ),
    "os.popen": ("import os\nreturn os.popen('wc -l ' + event['f']).read()", {"f": "a; id"}),
    "subprocess.run shell": (
        "import subprocess\nreturn subprocess.run(f'ping -c1 {event[\"host\"]}', shell=True)",
        {"host": "a;id"},
    ),
    "check_output shell": (
        "import subprocess\nreturn subprocess.check_output('nslookup ' + event['h'], shell=True)",
        {"h": "a || id"},
    ),
    "call shell": (
        "import subprocess\nreturn subprocess.call(' '.join(['ls', event['d']]), shell=True)",
        {"d": "&id"},
    ),
    "getoutput": (
        "import subprocess\nreturn subprocess.getoutput('cat ' + event['f'])",
        {"f": "x > /tmp/y"},
    ),
    "Popen shell": (
        "import subprocess\np = subprocess.Popen('echo %(n)s' % event, shell=True)\nreturn p.wait()",
        {"n": "$HOME"},
    ),
    "double quotes": (
        'import os\nreturn os.system(f\'grep "{event["q"]}" /dev/null\')',
        {"q": '"; id; "'},
    ),
    "substitution in double quotes": (
        'import os\nreturn os.system(f\'echo "{event["q"]}"\')',
        {"q": "$(id)"},
    ),
    "single quotes left": (
        "import os\nreturn os.system(f\"echo '{event['q']}'\")",
        {"q": "'; id; '"},
    ),
    "open quote": ("import os\nreturn os.system(f'echo {event[\"q\"]}')", {"q": "it's"}),
    "here-document left": (
        "import os\nreturn os.system('cat <<EOF\\n' + event['t'] + '\\nEOF\\n')",
        {"t": "a\nEOF\nid"},
    ),
    "pattern": ("import os\nreturn os.system('rm -f /tmp/none/' + event['n'])", {"n": "*"}),
    "comment": ("import os\nreturn os.system('ls ' + event['n'] + ' --safe')", {"n": "x #"}),
    "sh -c in a list": (
        "import subprocess\nreturn subprocess.run(['sh', '-c', 'ls ' + event['d']])",
        {"d": PAYLOAD},
    ),
    "bash -lc in a list": (
        "import subprocess\nreturn subprocess.run(['/bin/bash', '-lc', f'ls {event[\"d\"]}'])",
        {"d": PAYLOAD},
    ),
    "env sh -c": (
        "import subprocess\nreturn subprocess.run(['env', 'A=1', 'sh', '-c', 'ls ' + event['d']])",
        {"d": PAYLOAD},
    ),
    "sudo sh -c": (
        "import subprocess\nreturn subprocess.run(['sudo', '-u', 'x', 'sh', '-c', 'ls ' + event['d']])",
        {"d": PAYLOAD},
    ),
    "python -c": (
        "import subprocess, sys\nreturn subprocess.run([sys.executable, '-c', 'print(' + event['e'] + ')'])",
        {"e": "__import__('os').getcwd()"},
    ),
    "perl -e": (
        "import subprocess\nreturn subprocess.run(['perl', '-e', 'print ' + event['e']])",
        {"e": "system('id')"},
    ),
    "awk program": (
        "import subprocess\nreturn subprocess.run(['awk', '{print $' + event['c'] + '}', '/dev/null'])",
        {"c": '1; system("id")'},
    ),
    "find -exec sh": (
        "import subprocess\nreturn subprocess.run(['find', '/none', '-exec', 'sh', '-c', 'cat ' + event['f'], ';'])",
        {"f": "a; id"},
    ),
    "xargs": ("import subprocess\nreturn subprocess.run(['xargs', event['p']])", {"p": "id"}),
    "ssh remote command": (
        "import subprocess\nreturn subprocess.run(['ssh', 'host', 'ls ' + event['d']])",
        {"d": PAYLOAD},
    ),
    "ssh option": (
        "import subprocess\nreturn subprocess.run(['ssh', event['host'], 'uptime'])",
        {"host": "-oProxyCommand=id"},
    ),
    "tar option": (
        "import subprocess\nreturn subprocess.run(['tar', 'cf', '/dev/null', event['f']])",
        {"f": "--checkpoint-action=exec=id"},
    ),
    "git option": (
        "import subprocess\nreturn subprocess.run(['git', 'ls-remote', event['url']])",
        {"url": "--upload-pack=id"},
    ),
    "git ext": (
        "import subprocess\nreturn subprocess.run(['git', 'clone', '--', event['url'], '/tmp/x'])",
        {"url": "ext::sh -c id"},
    ),
    "curl option": (
        "import subprocess\nreturn subprocess.run(['curl', '-s', event['u']])",
        {"u": "-o/tmp/x"},
    ),
    "find option": (
        "import subprocess\nreturn subprocess.run(['find', '/none', '-name', 'x', event['x']])",
        {"x": "-delete"},
    ),
    "option in a shell, quoted": (
        "import os, shlex\nreturn os.system('ls ' + shlex.quote(event['d']))",
        {"d": "--help"},
    ),
    "program of the event": (
        "import subprocess\nreturn subprocess.run([event['tool'], '--version'])",
        {"tool": "id"},
    ),
    "program in a folder": (
        "import subprocess\nreturn subprocess.run(['/usr/bin/' + event['tool']])",
        {"tool": "id"},
    ),
    "program in a shell": ("import os\nreturn os.system(event['cmd'])", {"cmd": "id"}),
    "whole list": (
        "import subprocess\nreturn subprocess.run(event['argv'])",
        {"argv": ["id", "-u"]},
    ),
    "list of a cut text": (
        "import subprocess\nreturn subprocess.run(event['cmd'].split())",
        {"cmd": "id -u"},
    ),
    "shlex.split of a template": (
        "import shlex, subprocess\nreturn subprocess.run(shlex.split(f'ls {event[\"d\"]}'))",
        {"d": "x --version"},
    ),
    "split of a template": (
        "import subprocess\nreturn subprocess.run(f'ls -l {event[\"d\"]}'.split())",
        {"d": "x --version"},
    ),
    "executable": (
        "import subprocess\nreturn subprocess.run(['x'], executable=event['e'])",
        {"e": "/bin/true"},
    ),
    "environment": (
        "import subprocess\nreturn subprocess.run(['true'], env={'LD_PRELOAD': event['l']})",
        {"l": "/tmp/a.so"},
    ),
    "os.execvp": (
        "import os\nreturn os.execvp('sh', ['sh', '-c', 'ls ' + event['d']])",
        {"d": PAYLOAD},
    ),
    "os.execl": ("import os\nreturn os.execl('/bin/sh', 'sh', '-c', event['c'])", {"c": "id"}),
    "os.posix_spawn": (
        "import os\nreturn os.posix_spawn('/bin/sh', ['sh', '-c', f'ls {event[\"d\"]}'], {})",
        {"d": PAYLOAD},
    ),
    "os.spawnlp": (
        "import os\nreturn os.spawnlp(os.P_WAIT, 'sh', 'sh', '-c', 'ls ' + event['d'])",
        {"d": PAYLOAD},
    ),
    "os.spawnv": (
        "import os\nreturn os.spawnv(os.P_WAIT, '/bin/ls', ['ls', event['d']])",
        {"d": "--help"},
    ),
    "pty": ("import pty\nreturn pty.spawn(['sh', '-c', 'ls ' + event['d']])", {"d": PAYLOAD}),
    "asyncio shell": (
        """
        import asyncio
        async def go(d):
            p = await asyncio.create_subprocess_shell(f"ls {d}")
            return await p.wait()
        def handler(event, context):
            return asyncio.run(go(event["d"]))
        """,
        {"d": PAYLOAD},
    ),
    "asyncio exec": (
        """
        import asyncio
        async def go(d):
            p = await asyncio.create_subprocess_exec("ls", d)
            return await p.wait()
        def handler(event, context):
            return asyncio.run(go(event["d"]))
        """,
        {"d": "--version"},
    ),
    "helper and class": (
        """
        import subprocess
        class Converter:
            def __init__(self, base):
                self.base = base
            def command(self, name, size):
                return "%s -resize %s %s" % (self.base, size, name)
            def run(self, *a):
                return subprocess.run(self.command(*a), shell=True)
        def handler(event, context):
            return Converter("convert").run(event["name"], event["size"])
        """,
        {"name": "a.png", "size": "1;id"},
    ),
    "loop": (
        """
        import os
        def handler(event, context):
            command = "zip /tmp/never.zip"
            for name in event["names"]:
                command += " " + name
            return os.system(command)
        """,
        {"names": ["a", "b", "c;id"]},
    ),
    "denylist": (
        "import os\nif ';' in event['d']: raise ValueError\nreturn os.system('ls ' + event['d'])",
        {"d": "x|id"},
    ),
    "replaced": (
        "import os\nreturn os.system('ls ' + event['d'].replace(';', ''))",
        {"d": "x;|id"},
    ),
    "lower": ("import os\nreturn os.system('ls ' + event['d'].lower().strip())", {"d": "  X; ID "}),
    "slice": ("import os\nreturn os.system('ls ' + event['d'][2:])", {"d": "ab;id"}),
    "two parts": (
        "import os\nreturn os.system('ls ' + event['a'] + event['b'])",
        {"a": "x;", "b": "id"},
    ),
    "JSON in a string": (
        "import json, os\nreturn os.system('ls ' + json.loads(event['body'])['d'])",
        {"body": json.dumps({"d": PAYLOAD})},
    ),
    "base64": (
        "import base64, os\nreturn os.system('ls ' + base64.b64decode(event['d']).decode())",
        {"d": _B64},
    ),
    "base64 bytes": (
        "import base64, subprocess\nreturn subprocess.run(b'ls ' + base64.b64decode(event['d']), shell=True)",
        {"d": _B64},
    ),
    "URL-encoded key": (
        "import os\nfrom urllib.parse import unquote_plus\nreturn os.system('ls ' + unquote_plus(event['Records'][0]['s3']['object']['key']))",
        {"Records": [{"s3": {"object": {"key": quote(PAYLOAD)}}}]},
    ),
    "hex": (
        "import os\nreturn os.system('ls ' + bytes.fromhex(event['d']).decode())",
        {"d": PAYLOAD.encode().hex()},
    ),
    "query string": (
        "import os\nfrom urllib.parse import parse_qs\nreturn os.system('ls ' + parse_qs(event['q'])['d'][0])",
        {"q": "d=" + quote(PAYLOAD)},
    ),
    "queue": (
        "import json, os\nfor r in event['Records']:\n    os.system('ls ' + json.loads(r['body'])['d'])",
        {"Records": [{"body": json.dumps({"d": PAYLOAD})}]},
    ),
    "DynamoDB value": (
        "import os\nreturn os.system('ls ' + event['d']['S'])",
        {"d": {"S": PAYLOAD}},
    ),
    "header": (
        "import os\nreturn os.system('echo ' + event['headers']['user-agent'] + ' >> /tmp/log')",
        {"headers": {"user-agent": "() { :; }; id"}},
    ),
    "key of an object": (
        "import os\nfor k in event['tags']:\n    os.system('echo ' + k)",
        {"tags": {"a;id": 1}},
    ),
    "redirected": (
        "import os\nreturn os.system('echo hi > /tmp/out/' + event['f'])",
        {"f": "../../etc/cron.d/x"},
    ),
    "traversal of an argument": (
        "import subprocess\nreturn subprocess.run(['cat', '/data/' + event['f']])",
        {"f": "../../etc/passwd"},
    ),
    "caught": (
        "import os\ntry:\n    os.system('ls ' + event['d'])\nexcept BaseException:\n    pass\nreturn 1",
        {"d": PAYLOAD},
    ),
    "more: dataclass job": (
        'import subprocess\nfrom dataclasses import dataclass\n@dataclass\nclass Job:\n    src: str\n    dst: str\n    fmt: str = "mp4"\n    def cmd(self):\n        return f"ffmpeg -i {self.src} -f {self.fmt} {self.dst}"\ndef handler(event, context):\n    job = Job(**event["job"])\n    proc = subprocess.Popen(job.cmd(), shell=True, stdout=subprocess.PIPE)\n    return proc.communicate()[0]',
        {"job": {"src": "a.mp4", "dst": "b.mp4 && id"}},
    ),
    "more: template dict": (
        'import os\nTEMPLATES = {"ping": "ping -c 1 {host}", "trace": "traceroute {host}"}\ndef handler(event, context):\n    body = __import__("json").loads(event["body"])\n    return os.popen(TEMPLATES[body["action"]].format(**body)).read()',
        {"body": '{"action": "ping", "host": "localhost | id"}'},
    ),
    "more: lambda map": (
        'import subprocess\ndef handler(event, context):\n    parts = list(map(lambda s: s.strip(), event["files"].split(",")))\n    return subprocess.check_output("cat " + " ".join(parts), shell=True)',
        {"files": "a, b, c`id`"},
    ),
    "more: StringIO cmd": (
        'import io, os\ndef handler(event, context):\n    b = io.StringIO()\n    b.write("echo ")\n    b.write(event["m"])\n    return os.system(b.getvalue())',
        {"m": "hi; id"},
    ),
    "more: string.Template cmd": (
        "import os, string\nreturn os.system(string.Template('echo $m').substitute(m=event['m']))",
        {"m": "hi; id"},
    ),
    "more: bytes decode split cmd": (
        "import base64,subprocess\ncmd = base64.b64decode(event['c']).decode().split(' ')\nreturn subprocess.run(cmd)",
        {"c": "Y2F0IC9ldGMvcGFzc3dk"},
    ),
    "more: textwrap script": (
        'import subprocess, textwrap\ndef handler(event, context):\n    script = textwrap.dedent(f\'\'\'\n        set -e\n        cd /tmp\n        echo "building {event["branch"]}"\n    \'\'\')\n    return subprocess.run(["bash", "-c", script])',
        {"branch": 'main"; id; "'},
    ),
    "more: stdin to bash": (
        "import subprocess\nreturn subprocess.run(['bash'], input=f'echo {event[\"n\"]}', text=True)",
        {"n": "a; id"},
    ),
    "more: stdin to sh comm": (
        "import subprocess\np=subprocess.Popen(['sh','-s'],stdin=subprocess.PIPE)\np.communicate(('echo '+event['n']).encode())",
        {"n": "a; id"},
    ),
    "more: script file": (
        "import subprocess,tempfile,os\nf='/tmp/s_g2.sh'\nopen(f,'w').write('echo '+event['n'])\nreturn subprocess.run(['sh',f])",
        {"n": "a; id"},
    ),
    "more: quote half": (
        "import os,shlex\nreturn os.system(f\"convert {shlex.quote(event['a'])} -resize {event['s']} out.png\")",
        {"a": "a b.png", "s": "10;id"},
    ),
    "more: quote in dq": (
        'import os,shlex\nreturn os.system(f\'echo "{shlex.quote(event["a"])}"\')',
        {"a": "$(id)"},
    ),
    "more: json.dumps as quoting": (
        "import os,json\nreturn os.system('echo ' + json.dumps(event['a']))",
        {"a": "$(id)"},
    ),
    "more: regex bad check": (
        "import os,re\nif not re.match(r'[a-z]+', event['a']): raise ValueError\nreturn os.system('ping '+event['a'])",
        {"a": "abc; id"},
    ),
    "more: tuple args": (
        "import subprocess\nreturn subprocess.run(('sh','-c',event['a']))",
        {"a": "id"},
    ),
    "more: partial": (
        "import functools,subprocess\nrun=functools.partial(subprocess.run,shell=True)\nreturn run('ls '+event['a'])",
        {"a": "x;id"},
    ),
    "more: generator": (
        "import subprocess\ndef cmds(e):\n    for h in e['hosts']:\n        yield 'ping -c1 %s' % h\nreturn [subprocess.call(c,shell=True) for c in cmds(event)]",
        {"hosts": ["a;id"]},
    ),
    "more: walrus": (
        "import os\nif (h := event.get('h')) and len(h) < 100:\n    return os.system(f'host {h!s}')",
        {"h": "a;id"},
    ),
    "more: dict merge format_map": (
        "import os\nreturn os.system('tar czf {out} {src}'.format_map({'out':'/tmp/o.tgz', **event}))",
        {"src": "a;id"},
    ),
    "more: match stmt": (
        "import os\nmatch event:\n    case {'op': 'ping', 'host': h}:\n        return os.system('ping -c1 ' + h)",
        {"op": "ping", "host": "a&&id"},
    ),
    "more: int-typed str concat": (
        "import subprocess\nreturn subprocess.getstatusoutput('kill -9 ' + str(event['pid']))",
        {"pid": "1; id"},
    ),
    "more: strip quotes": (
        "import os\nname=event['n'].strip('\"')\nreturn os.system(f'echo \"{name}\"')",
        {"n": '"$(id)"'},
    ),
    "more: escape half": (
        "import os\nn=event['n'].replace('\"','\\\\\"')\nreturn os.system(f'echo \"{n}\"')",
        {"n": "`id`"},
    ),
    "more: escape single wrong": (
        "import os\nn=event['n'].replace(\"'\",\"\\\\'\")\nreturn os.system(f\"echo '{n}'\")",
        {"n": "' ; id ; '"},
    ),
    "more: urlparse host": (
        "import os\nfrom urllib.parse import urlsplit\nh=urlsplit(event['u']).netloc\nreturn os.system('ping -c1 '+h)",
        {"u": "http://a;id/x"},
    ),
    "more: json dumps arg": (
        "import subprocess,json\nreturn subprocess.run('curl -d '+json.dumps(event['d'])+' http://localhost:1',shell=True)",
        {"d": {"a": "$(id)"}},
    ),
    "more: env var interpolation": (
        "import os\nos.environ['T']=event['t']\nreturn os.system(os.path.expandvars('echo $T'))",
        {"t": "a;id"},
    ),
    "more: email": (
        "import subprocess\nreturn subprocess.run('echo hi | mail -s \"' + event['subject'] + '\" ' + event['to'],shell=True)",
        {"subject": "x", "to": "a@b.c; id"},
    ),
    "more: multi event": (
        "import subprocess\nargs=['convert',event['src'],'-resize',event['size'],event['dst']]\nreturn subprocess.run(' '.join(args),shell=True)",
        {"src": "a", "size": "1", "dst": "$(id)"},
    ),
    "more: git clone branch": (
        "import subprocess\nreturn subprocess.run(['git','clone','-b',event['b'],'https://x/y.git'],capture_output=True)",
        {"b": "--upload-pack=id"},
    ),
    "more: docker run": (
        "import subprocess\nreturn subprocess.run(['docker','run',event['img']])",
        {"img": "--privileged"},
    ),
    "more: wget O": (
        "import subprocess\nreturn subprocess.run(['wget','-q',event['u']])",
        {"u": "--post-file=/etc/passwd"},
    ),
    "more: python -m": (
        "import subprocess,sys\nreturn subprocess.run([sys.executable,'-m',event['m']])",
        {"m": "this"},
    ),
    "more: node -e": (
        "import subprocess\nreturn subprocess.run(['node','-e','console.log(\"'+event['x']+'\")'])",
        {"x": '"+process.env+"'},
    ),
    "more: psql": (
        "import subprocess\nreturn subprocess.run(['psql','-c',\"SELECT * FROM t WHERE n='\"+event['n']+\"'\"])",
        {"n": "' OR 1=1 --"},
    ),
    "more: sed": (
        "import subprocess\nreturn subprocess.run(['sed','s/a/'+event['r']+'/','/dev/null'])",
        {"r": "b/e;s/x"},
    ),
    "sed: a sign that ends the replacement": (
        "import subprocess\ns = 's|%s|x|' % event['a']\n"
        "return subprocess.run(['sed', '-e', s, '/dev/null'])",
        {"a": "a|b|e"},
    ),
    "sed: a line of its own": (
        "import subprocess\ns = 's/%s/x/' % event['a']\n"
        "return subprocess.run(['sed', s, '/dev/null'])",
        {"a": "a\ne id\n"},
    ),
    "sed: flags": (
        "import subprocess\ns = 's/a/b/' + event['f']\n"
        "return subprocess.run(['sed', s, '/dev/null'])",
        {"f": "e;"},
    ),
    "more: crontab": (
        "import subprocess\nreturn subprocess.run('(crontab -l; echo \"* * * * * '+event['c']+'\") | crontab -',shell=True)",
        {"c": 'id"; id; "'},
    ),
    "more: os.execvpe": (
        "import os\nos.execvpe('ls',['ls',event['d']],os.environ)",
        {"d": "--help"},
    ),
    "more: nested format": (
        "import os\ncmd='{tool} {args}'.format(tool='ls',args='{a} {b}'.format(**event))\nreturn os.system(cmd)",
        {"a": "x", "b": "; id"},
    ),
    "more: list join generator": (
        "import os\nreturn os.system('rm '+' '.join(f'\"{f}\"' for f in event['fs']))",
        {"fs": ["a", '";id;"']},
    ),
    "more: subclass str": (
        "import os\nclass S(str): pass\nreturn os.system('ls '+S(event['d']))",
        {"d": "x;id"},
    ),
    "more: reversed": ("import os\nreturn os.system('ls '+event['d'][::-1])", {"d": "di;x"}),
}

BENIGN: Cases = {
    "inside both texts of sed": (
        "import subprocess\ns = 's/%s/%s/g' % (event['a'], event['b'])\n"
        "return subprocess.run(['sed', '-e', s, '/dev/null'])",
        {"a": "O'Neil", "b": "ñ - 2; rm"},
    ),
    "quoted": (
        "import os, shlex\nreturn os.system(f'echo {shlex.quote(event[\"d\"])}')",
        {"d": PAYLOAD},
    ),
    "quoted quotes": (
        "import os, shlex\nreturn os.system(f'echo {shlex.quote(event[\"d\"])}')",
        {"d": 'it\'s; $(id) "x" `y`'},
    ),
    "quoted, formatted": (
        "import os, shlex\nreturn os.system('echo {} | cat'.format(shlex.quote(event['d'])))",
        {"d": "a b; c"},
    ),
    "shlex.join": (
        "import shlex, subprocess\nreturn subprocess.run(shlex.join(['echo', event['d']]), shell=True)",
        {"d": PAYLOAD},
    ),
    "pipes in quotes of a list": (
        "import subprocess\nreturn subprocess.run(['echo', event['d']])",
        {"d": PAYLOAD},
    ),
    "list": (
        "import subprocess\nreturn subprocess.run(['ls', '-d', event['d']], capture_output=True)",
        {"d": "/tmp"},
    ),
    "list with dashes ended": (
        "import subprocess\nreturn subprocess.run(['ls', '-d', '--', event['d']], capture_output=True)",
        {"d": "--help; id"},
    ),
    "list with a path": (
        "import subprocess\nreturn subprocess.run(['wc', '-l', f'/tmp/{event[\"f\"]}.none'], capture_output=True)",
        {"f": "report 2024"},
    ),
    "option with a value": (
        "import subprocess\nreturn subprocess.run(['grep', '-c', '-e', event['q'], '/dev/null'])",
        {"q": "-v"},
    ),
    "joined option": (
        "import subprocess\nreturn subprocess.run(['date', '--date=' + event['d']], capture_output=True)",
        {"d": "2020-01-01"},
    ),
    "git message": (
        "import subprocess\nreturn subprocess.run(['echo', 'git', 'commit', '-m', event['m']])",
        {"m": "fix; rm -rf /"},
    ),
    "positional parameter": (
        "import subprocess\nreturn subprocess.run(['sh', '-c', 'echo \"$1\"', 'sh', event['d']])",
        {"d": PAYLOAD},
    ),
    "number in a shell": (
        "import os\nreturn os.system(f'head -n {int(event[\"n\"])} /dev/null')",
        {"n": "5"},
    ),
    "JSON number": (
        "import os\nreturn os.system(f'head -n {event[\"n\"]} /dev/null')",
        {"n": 12345},
    ),
    "allow-list": (
        "import subprocess\nTOOLS = {'a': ['true'], 'b': ['false']}\nreturn subprocess.run(TOOLS[event['t']])",
        {"t": "a"},
    ),
    "checked program": (
        "import subprocess\nif event['t'] not in ('true', 'false'): raise ValueError\nreturn subprocess.run([event['t']])",
        {"t": "true"},
    ),
    "checked against a set": (
        "import os\nNAMES = {'alpha', 'beta'}\nif event['n'] not in NAMES: raise ValueError\nreturn os.system('echo ' + event['n'])",
        {"n": "alpha"},
    ),
    "matched": (
        "import os, re\nif not re.fullmatch(r'[a-z0-9.-]+', event['h']): raise ValueError\nreturn os.system('echo ' + event['h'])",
        {"h": "example.com"},
    ),
    "isalnum": (
        "import os\nif not event['h'].isalnum(): raise ValueError\nreturn os.system('echo ' + event['h'])",
        {"h": "abc123"},
    ),
    "standard input": (
        "import subprocess\nreturn subprocess.run(['cat'], input=event['d'], text=True, capture_output=True)",
        {"d": PAYLOAD},
    ),
    "environment variable": (
        "import os, subprocess\nreturn subprocess.run('echo \"$NAME\"', shell=True, env={**os.environ, 'NAME': event['d']})",
        {"d": PAYLOAD},
    ),
    "nothing of the event": ("import os\nreturn os.system('echo done')", {"d": PAYLOAD}),
    "same words": ("import os\nreturn os.system('echo hello world')", {"d": "hello", "e": "echo"}),
    "python script": (
        "import subprocess, sys\nreturn subprocess.run([sys.executable, '-c', 'import sys; print(sys.argv[1])', event['d']])",
        {"d": "__import__('os')"},
    ),
    "in single quotes": (
        "import os\nreturn os.system(f\"echo '{event['d']}'\")",
        {"d": "plain text, with; $signs"},
    ),
    "split of a constant": (
        "import subprocess\nreturn subprocess.run('echo a b'.split() + [event['d']])",
        {"d": "a b; c"},
    ),
    "shlex.split of quoted": (
        "import shlex, subprocess\nreturn subprocess.run(shlex.split('echo ' + shlex.quote(event['d'])))",
        {"d": "a b; c"},
    ),
    "several values": (
        "import subprocess\nreturn subprocess.run(['echo', *event['names']])",
        {"names": ["a", "b c", "; id"]},
    ),
    "asyncio": (
        """
        import asyncio
        async def go(d):
            p = await asyncio.create_subprocess_exec("echo", "--", d)
            return await p.wait()
        def handler(event, context):
            return asyncio.run(go(event["d"]))
        """,
        {"d": PAYLOAD},
    ),
    "spawn": (
        "import os\nreturn os.spawnlp(os.P_WAIT, 'echo', 'echo', event['d'])",
        {"d": PAYLOAD},
    ),
    "posix_spawn": (
        "import os\npid = os.posix_spawn('/bin/echo', ['echo', event['d']], {})\nreturn os.waitpid(pid, 0)[1]",
        {"d": PAYLOAD},
    ),
    "sed through a parameter": (
        "import subprocess\nreturn subprocess.run(['sed', 's/a/b/'], input=event['t'], text=True, capture_output=True)",
        {"t": "e; id"},
    ),
    "quoted base64": (
        "import base64, os, shlex\nreturn os.system('echo ' + shlex.quote(base64.b64decode(event['d']).decode()))",
        {"d": _B64},
    ),
    "quoted JSON body": (
        "import json, os, shlex\nreturn os.system('echo ' + shlex.quote(json.loads(event['body'])['d']))",
        {"body": json.dumps({"d": PAYLOAD})},
    ),
    "negative number": (
        "import subprocess\nreturn subprocess.run(['echo', str(event['n'])])",
        {"n": -5},
    ),
    "uuid name": (
        "import subprocess, uuid\nname = str(uuid.UUID(event['id']))\nreturn subprocess.run(['ls', f'/tmp/{name}'], capture_output=True)",
        {"id": "12345678-1234-5678-1234-567812345678"},
    ),
    "more: quote list comp": (
        "import os,shlex\nreturn os.system('echo ' + ' '.join(shlex.quote(f) for f in event['f']))",
        {"f": ["a b", "c;d", "$(id)"]},
    ),
    "more: list stdin data": (
        "import subprocess\nreturn subprocess.run(['wc','-c'],input=event['t'].encode(),capture_output=True)",
        {"t": "; id"},
    ),
    "more: validated enum": (
        "import enum,subprocess\nclass F(enum.Enum):\n    A='a'\n    B='b'\nreturn subprocess.run(['echo',F(event['f']).value])",
        {"f": "a"},
    ),
    "more: validated size": (
        "import re,os\nm=re.fullmatch(r'(\\d+)x(\\d+)',event['s'])\nif not m: raise ValueError\nw,h=map(int,m.groups())\nreturn os.system(f'echo -resize {w}x{h}')",
        {"s": "100x200"},
    ),
    "more: validated ip": (
        "import ipaddress,os\nip=ipaddress.ip_address(event['ip'])\nreturn os.system(f'echo {ip}')",
        {"ip": "192.168.1.10"},
    ),
    "more: git log": (
        "import subprocess\nreturn subprocess.run(['git','log','--format=%H','-n',str(int(event['n'])),'--',event['p']],capture_output=True)",
        {"n": "3", "p": "src/a b.py"},
    ),
    "more: secrets same word": (
        "import subprocess\nreturn subprocess.run(['git','--version'],capture_output=True)",
        {"type": "git", "action": "--version"},
    ),
    "more: sh -c with constant": (
        "import subprocess\nreturn subprocess.run('echo start && echo done', shell=True)",
        {"status": "done", "phase": "start"},
    ),
    "more: quoted newline": (
        "import os,shlex\nreturn os.system('printf %s '+shlex.quote(event['t'])+' >/dev/null')",
        {"t": "line1\nline2; id\n'x'"},
    ),
    "more: slug filename cmd": (
        "import re,subprocess\nslug=re.sub(r'[^a-z0-9]+','-',event['t'].lower()).strip('-')\nreturn subprocess.run(f'echo /tmp/{slug}.txt',shell=True)",
        {"t": "Hello; rm -rf World"},
    ),
    "more: isdigit": (
        "import os\nif not event['n'].isdigit(): raise ValueError\nreturn os.system('head -n '+event['n']+' /dev/null')",
        {"n": "10"},
    ),
    "more: dict get default": (
        "import subprocess\nLEVELS={'debug':'-vv','info':'-v'}\nreturn subprocess.run(['echo',LEVELS.get(event['l'],'-q')])",
        {"l": "debug"},
    ),
    "more: quote each + f": (
        "import shlex,os\na=[shlex.quote(str(x)) for x in event['a']]\nreturn os.system(f\"echo {' '.join(a)} > /dev/null\")",
        {"a": ["a'b", "$(id)", 3]},
    ),
    "more: list2cmd": (
        "import subprocess\nreturn subprocess.list2cmdline(['a',event['x']])",
        {"x": "; id"},
    ),
    "more: check regex search": (
        "import re,os\nR=re.compile(r'^[A-Za-z0-9_-]{1,32}$')\nif not R.match(event['x']): raise ValueError\nreturn os.system('echo '+event['x'])",
        {"x": "abc-1"},
    ),
    "more: quote json in single": (
        "import json,shlex,os\nreturn os.system('echo '+shlex.quote(json.dumps(event))+' >/dev/null')",
        {"x": "it's; $(id)"},
    ),
    "more: env safe": (
        "import subprocess,os\nreturn subprocess.run(['sh','-c','printf %s \"$MSG\" >/dev/null'],env={**os.environ,'MSG':event['m']})",
        {"m": "$(id)"},
    ),
    "more: tmp script const": (
        "import subprocess\nopen('/tmp/guard-c.sh','w').write('#!/bin/sh\\necho \"$1\" >/dev/null\\n')\nreturn subprocess.run(['sh','/tmp/guard-c.sh',event['x']])",
        {"x": "; id"},
    ),
    "more: python json arg": (
        "import subprocess,sys,json\nreturn subprocess.run([sys.executable,'-c','import json,sys; json.loads(sys.argv[1])',json.dumps(event)],capture_output=True).returncode",
        {"x": "'; import os"},
    ),
    "more: python stdin": (
        "import subprocess,sys,json\nreturn subprocess.run([sys.executable,'-c','import json,sys; json.load(sys.stdin)'],input=json.dumps(event),text=True).returncode",
        {"x": "'; import os"},
    ),
    "more: timeout wrapper": (
        "import subprocess\nreturn subprocess.run(['timeout','5','echo',event['x']])",
        {"x": "a; b"},
    ),
    "more: nice env": (
        "import subprocess\nreturn subprocess.run(['env','LC_ALL=C','sort'],input=event['x'],text=True,capture_output=True)",
        {"x": "b\na; id\n"},
    ),
    "more: grep -F --": (
        "import subprocess\nreturn subprocess.run(['grep','-F','--',event['q'],'/dev/null']).returncode",
        {"q": "--help"},
    ),
}


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))


def test_data_that_becomes_a_command_is_stopped(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(VULNERABLE, tmp_path))
    missed = {n: a.result + a.trace for n, a in answers.items() if a.outcome != "blocked"}
    assert not missed
    for name, answer in answers.items():
        assert answer.records[0]["sink"] == "command", f"{name}: {answer}"
        assert answer.records[0]["fix"], name
        assert "could not be checked" not in str(answer.records), name
    assert not Path("/tmp/never").exists()


def test_safe_use_passes_with_the_same_data(tmp_path: Path) -> None:
    answers = run(tmp_path, placed(BENIGN, tmp_path))
    wrong = {
        n: (a.result, a.records, a.trace)
        for n, a in answers.items()
        if a.outcome != "ok" or a.records
    }
    assert not wrong


@pytest.mark.parametrize(
    "payload",
    ["a b", "$(id)", "`id`", "a;b", "a\nb", "'", '"', "a|b", "a>b", "a&b", "*", "~", "{a,b}"],
)
def test_every_character_with_a_meaning_is_seen(tmp_path: Path, payload: str) -> None:
    code = "import os\nreturn os.system('echo ' + event['d'])"
    assert run(tmp_path, {"case": (code, {"d": payload})})["case"].outcome == "blocked"


def test_nothing_of_the_payload_is_told(tmp_path: Path) -> None:
    code = "import os\nreturn os.system('echo ' + event['d'])"
    answer = run(tmp_path, {"case": (code, {"d": "SECRET; id"})})["case"]
    assert "SECRET" not in str(answer.records) + answer.result
    assert answer.records[0]["pointer"] == "/d"
