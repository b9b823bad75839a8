"""What programs read beside their arguments: input, scripts, variables of the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

pytestmark = pytest.mark.usefixtures("own_temporary_files")

PRELOAD = ("asyncio",)

WITH_FILES = "import subprocess, os, sys\nimport tempfile\n"
HEAD = "import subprocess, os, sys\n"

VULNERABLE: Cases = {
    "pipe of a variable": (
        "import subprocess, os, shlex\nreturn subprocess.run('echo \"$S\" | sh',shell=True,env={**os.environ,'S':event['c']},capture_output=True)",
        {"c": "id; ls"},
    ),
    "pipe, quoted": (
        "import subprocess, os, shlex\nreturn os.system('echo '+shlex.quote(event['c'])+' | sh')",
        {"c": "id; id"},
    ),
    "pipe to xargs": (
        "import subprocess, os, shlex\nreturn os.system('printf %s '+shlex.quote(event['c'])+' | xargs ls')",
        {"c": "-la /"},
    ),
    "pipe to Python": (
        "import subprocess, os, shlex\nreturn subprocess.run(f'echo {shlex.quote(event[\"c\"])} | python3', shell=True)",
        {"c": "import os; print(os.getpid())"},
    ),
    "xargs": (
        HEAD
        + "return subprocess.run(['xargs','ls'], input=event['n'], text=True, capture_output=True).stdout",
        {"n": "a -la /etc"},
    ),
    "xargs dash": (
        HEAD
        + "return subprocess.run(['xargs','ls'], input=event['n'], text=True, capture_output=True).stdout",
        {"n": "-la"},
    ),
    "xargs sh -c": (
        HEAD
        + "return subprocess.run(['xargs','-I{}','sh','-c','echo {}'], input=event['n'], text=True, capture_output=True).stdout",
        {"n": "a;id"},
    ),
    "xargs -I sep": (
        HEAD
        + "return subprocess.run(['xargs','-I','%','sh','-c','echo %'], input='x\\n'+event['n'], text=True, capture_output=True).stdout",
        {"n": "$(id)"},
    ),
    "xargs 0 rm": (
        HEAD
        + "return subprocess.run(['xargs','-0','rm'], input='\\0'.join(event['n']), text=True, capture_output=True).stdout",
        {"n": ["a", "-rf"]},
    ),
    "LD_PRELOAD key": (
        HEAD
        + "return subprocess.run(['ls'], env={**os.environ, event['k']: '/tmp/x.so'}, capture_output=True).stdout",
        {"k": "LD_PRELOAD"},
    ),
    "LD_PRELOAD both": (
        HEAD
        + "return subprocess.run(['ls'], env={**os.environ, event['k']: event['v']}, capture_output=True).stdout",
        {"k": "LD_PRELOAD", "v": "/tmp/x.so"},
    ),
    "env dict": (
        HEAD + "return subprocess.run(['ls'], env=event['env'], capture_output=True).stdout",
        {"env": {"BASH_ENV": "/tmp/x"}},
    ),
    "env merged": (
        HEAD
        + "return subprocess.run(['ls'], env={**os.environ, **event['env']}, capture_output=True).stdout",
        {"env": {"GIT_SSH_COMMAND": "/tmp/x"}},
    ),
    "env update": (
        HEAD
        + "env=os.environ.copy()\nenv.update(event['env'])\nreturn subprocess.run(['ls'], env=env, capture_output=True).stdout",
        {"env": {"PYTHONSTARTUP": "/tmp/x"}},
    ),
    "environ set": (
        HEAD
        + "os.environ[event['k']]=event['v']\nreturn subprocess.run(['ls'], capture_output=True).stdout",
        {"k": "PATH", "v": "/tmp/x"},
    ),
    "environ update": (
        HEAD
        + "os.environ.update(event)\nreturn subprocess.run(['ls'], capture_output=True).stdout",
        {"LD_LIBRARY_PATH": "/tmp/x"},
    ),
    "environ part": (
        HEAD + "os.environ['PATH']=event['v']+':'+os.environ['PATH']\nreturn 1",
        {"v": "/tmp/evil"},
    ),
    "putenv": (HEAD + "os.putenv(event['k'],'1')\nreturn 1", {"k": "PYTHONINSPECT"}),
    "sh -c $X": (
        HEAD
        + "return subprocess.run(['sh','-c','$X'], env={'X':event['c'],'PATH':os.environ['PATH']}, capture_output=True).stdout",
        {"c": "id -u"},
    ),
    'sh -c "$X"': (
        HEAD
        + "return subprocess.run(['sh','-c','\"$X\"'], env={'X':event['c'],'PATH':os.environ['PATH']}, capture_output=True).stdout",
        {"c": "/usr/bin/id"},
    ),
    "shell=True $X": (
        HEAD
        + "return subprocess.run('$CMD', shell=True, env={'CMD':event['c'],'PATH':os.environ['PATH']}, capture_output=True).stdout",
        {"c": "id -u"},
    ),
    "eval": (
        HEAD
        + "return subprocess.run('eval \"$CMD\"', shell=True, env={**os.environ,'CMD':event['c']}, capture_output=True).stdout",
        {"c": "echo a; id"},
    ),
    "sh -c sh -c": (
        HEAD
        + "return subprocess.run('sh -c \"$CMD\"', shell=True, env={**os.environ,'CMD':event['c']}, capture_output=True).stdout",
        {"c": "echo a; id"},
    ),
    "sh -c sh -c ''": (
        HEAD
        + "return subprocess.run(\"bash -c 'eval $CMD'\", shell=True, env={**os.environ,'CMD':event['c']}, capture_output=True).stdout",
        {"c": "echo a; id"},
    ),
    "unquoted": (
        HEAD
        + "return subprocess.run('ls $F', shell=True, env={**os.environ,'F':event['c']}, capture_output=True).stdout",
        {"c": "-la"},
    ),
    "quoted option": (
        HEAD
        + "return subprocess.run('ls \"${F}\"', shell=True, env={**os.environ,'F':event['c']}, capture_output=True).stdout",
        {"c": "-la"},
    ),
    "python -c $X": (
        HEAD
        + "return subprocess.run('python3 -c \"$F\"', shell=True, env={**os.environ,'F':event['c']}, capture_output=True).stdout",
        {"c": "import os; os.getpid()"},
    ),
    "os.system env": (
        HEAD + "os.environ['Q']=event['c']\nreturn os.system('sh -c \"$Q\"')",
        {"c": "id; id"},
    ),
    "written py": (
        WITH_FILES
        + "with tempfile.NamedTemporaryFile('w',suffix='.py') as f:\n    f.write('x = '+event['c']+'\\nprint(x)')\n    f.flush()\n    return subprocess.run([sys.executable, f.name], capture_output=True).stdout",
        {"c": "__import__('os').getpid()"},
    ),
    "written py whole": (
        WITH_FILES
        + "with tempfile.NamedTemporaryFile('w',suffix='.py') as f:\n    f.write(event['c'])\n    f.flush()\n    return subprocess.run(['python3', f.name, 'a'], capture_output=True).stdout",
        {"c": "import os\nprint(os.getpid())"},
    ),
    "written cwd": (
        WITH_FILES
        + "d=tempfile.mkdtemp()\nopen(d+'/m.py','w').write(event['c'])\nreturn subprocess.run(['python3', 'm.py'], cwd=d, capture_output=True).stdout",
        {"c": "import os\nprint(os.getpid())"},
    ),
    "written shebang": (
        WITH_FILES
        + "d=tempfile.mkdtemp()\nopen(d+'/m','w').write('#!/usr/bin/env python3\\nprint('+event['c']+')')\nos.chmod(d+'/m',0o755)\nreturn subprocess.run([d+'/m'], capture_output=True).stdout",
        {"c": "__import__('os').getpid()"},
    ),
    "written perl": (
        WITH_FILES
        + "d=tempfile.mkdtemp()\nopen(d+'/m.pl','w').write('print '+event['c'])\nreturn subprocess.run(['perl', d+'/m.pl'], capture_output=True).stdout",
        {"c": "system('id')"},
    ),
    "written import": (
        WITH_FILES
        + "d=tempfile.mkdtemp()\nopen(d+'/gsmod.py','w').write('X = '+event['c'])\nsys.path.insert(0,d)\nreturn __import__('gsmod').X",
        {"c": "__import__('os').getpid()"},
    ),
    "written import whole": (
        WITH_FILES
        + "import importlib.util\nd=tempfile.mkdtemp()\nopen(d+'/gsmod.py','w').write(event['c'])\nspec=importlib.util.spec_from_file_location('gsmod', d+'/gsmod.py')\nm=importlib.util.module_from_spec(spec)\nspec.loader.exec_module(m)\nreturn m.X",
        {"c": "import os\nX=os.getpid()"},
    ),
    "runpy": (
        WITH_FILES
        + "import runpy\nd=tempfile.mkdtemp()\nopen(d+'/g.py','w').write(event['c'])\nreturn runpy.run_path(d+'/g.py')['X']",
        {"c": "import os\nX=os.getpid()"},
    ),
    "exec read": (
        WITH_FILES
        + "d=tempfile.mkdtemp()\nopen(d+'/g.py','w').write('X='+event['c'])\nexec(open(d+'/g.py').read())",
        {"c": "__import__('os').getpid()"},
    ),
    "stdin write": (
        HEAD
        + "p=subprocess.Popen(['sh'],stdin=subprocess.PIPE,stdout=subprocess.PIPE,text=True)\np.stdin.write('echo '+event['c']+'\\n')\nreturn p.communicate()[0]",
        {"c": "a; id"},
    ),
    "psql stdin": (
        HEAD
        + "return subprocess.run(['sqlite3',':memory:'], input=\"select '\"+event['c']+\"'\", text=True)",
        {"c": "' || (select 1) || '"},
    ),
    "perl stdin": (
        HEAD
        + "return subprocess.run(['perl'], input=\"print '\"+event['c']+\"'\", text=True, capture_output=True)",
        {"c": "'; system('id'); '"},
    ),
    "ssh stdin": (
        HEAD
        + "return subprocess.run(['ssh','host'], input='ls '+event['c'], text=True, capture_output=True)",
        {"c": "; id"},
    ),
    "asyncio stdin": (
        HEAD
        + "import asyncio\nasync def go():\n    p=await asyncio.create_subprocess_exec('sh',stdin=asyncio.subprocess.PIPE,stdout=asyncio.subprocess.PIPE)\n    return await p.communicate(b'echo '+event['c'].encode())\nreturn asyncio.run(go())",
        {"c": "a; id"},
    ),
}

SAFE: Cases = {
    "pipe to grep": (
        "import subprocess, os, shlex\nreturn os.system('echo '+shlex.quote(event['c'])+' | grep -c x')",
        {"c": "id; id"},
    ),
    "no pipe": (
        "import subprocess, os, shlex\nreturn os.system('echo '+shlex.quote(event['c'])+' || sh -c true')",
        {"c": "id; id"},
    ),
    "another pipe": (
        "import subprocess, os, shlex\nreturn os.system('echo '+shlex.quote(event['c'])+'; echo true | sh')",
        {"c": "id; id"},
    ),
    "xargs 0": (
        HEAD
        + "return subprocess.run(['xargs','-0','ls','-d','--'], input='\\0'.join(event['n']), text=True, capture_output=True).stdout",
        {"n": ["a b", "-c", "x'y"]},
    ),
    "xargs plain": (
        HEAD
        + "return subprocess.run(['xargs','echo'], input='\\n'.join(event['n']), text=True, capture_output=True).stdout",
        {"n": ["a", "b.txt"]},
    ),
    "env value": (
        HEAD
        + "return subprocess.run(['env'], env={**os.environ,'NAME':event['v']}, capture_output=True).returncode",
        {"v": "x; id $(id) -la"},
    ),
    "env quoted": (
        HEAD
        + "return subprocess.run('echo \"$NAME\"', shell=True, env={**os.environ,'NAME':event['v']}, capture_output=True).stdout",
        {"v": "x; id $(id) 'la"},
    ),
    "env quoted --": (
        HEAD
        + "return subprocess.run('ls -d -- \"$NAME\"', shell=True, env={**os.environ,'NAME':event['v']}, capture_output=True).returncode",
        {"v": "-la; id"},
    ),
    "env quoted grep": (
        HEAD
        + "return subprocess.run('echo abc | grep -e \"${NAME:-x}\"', shell=True, env={**os.environ,'NAME':event['v']}, capture_output=True).returncode",
        {"v": "-abc"},
    ),
    "environ set": (
        HEAD
        + "os.environ['APP_NAME']=event['v']\nreturn subprocess.run(['ls','/'], capture_output=True).returncode",
        {"v": "/tmp/x"},
    ),
    "environ key": (
        HEAD
        + "os.environ[event['k']]='x'\nreturn subprocess.run(['ls','/'], capture_output=True).returncode",
        {"k": "LANG"},
    ),
    "cat stdin": (
        HEAD
        + "return subprocess.run(['cat'], input=event['v'], text=True, capture_output=True).stdout",
        {"v": "; id $(id)"},
    ),
    "sh -c cat stdin": (
        HEAD
        + "return subprocess.run(['sh','-c','cat'], input=event['v'], text=True, capture_output=True).stdout",
        {"v": "; id $(id)"},
    ),
    "python -c stdin": (
        HEAD
        + "return subprocess.run([sys.executable,'-c','import sys;print(sys.stdin.read())'], input=event['v'], text=True, capture_output=True).stdout",
        {"v": "import os"},
    ),
    "Popen write": (
        HEAD
        + "p=subprocess.Popen(['sh','-c','wc -c'],stdin=subprocess.PIPE,stdout=subprocess.PIPE,text=True)\np.stdin.write(event['v'])\nreturn p.communicate()[0]",
        {"v": "; id $(id)"},
    ),
    "Popen sh write": (
        HEAD
        + "p=subprocess.Popen(['sh'],stdin=subprocess.PIPE,stdout=subprocess.PIPE,text=True)\np.stdin.write('echo hello\\n')\np.stdin.flush()\nreturn p.communicate('echo '+str(len(event['v'])))[0]",
        {"v": "; id $(id)"},
    ),
    "written data": (
        WITH_FILES
        + "d=tempfile.mkdtemp()\nopen(d+'/m.json','w').write(event['c'])\nreturn subprocess.run([sys.executable, '-c', 'import sys; print(open(sys.argv[1]).read())', d+'/m.json'], capture_output=True).stdout",
        {"c": "import os\nprint(os.getpid())"},
    ),
    "written py literal": (
        WITH_FILES
        + "import json\nd=tempfile.mkdtemp()\nopen(d+'/m.py','w').write('X = '+repr(event['c'])+'\\nprint(X)')\nreturn subprocess.run([sys.executable, d+'/m.py'], capture_output=True).stdout",
        {"c": "a\"b'c\nprint(1)"},
    ),
    "path own": (
        HEAD
        + "os.environ['PATH']='/usr/bin:/bin'\nreturn subprocess.run(['ls','/'], capture_output=True).returncode",
        {"k": "PATH"},
    ),
    "dollar": (
        HEAD
        + "return subprocess.run('for i in 1 2; do echo $i $HOME; done', shell=True, capture_output=True).stdout",
        {"k": "x -rf"},
    ),
    "import late": (HEAD + "import colorsys, xml.sax\nreturn 1", {"k": "colorsys"}),
}


def test_attacks_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"command", "code", "file"}, PRELOAD)


def test_harmless_uses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)
