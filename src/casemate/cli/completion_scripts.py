"""The scripts by which shells complete, made from the table of commands.

Commands, options and choices stand in the script: no process is started for them. Only names of
functions are asked for, by `casemate completion --functions`. Nothing that comes from there, or
from the command line, is ever evaluated by the shell: it is compared and offered as it is.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence

from casemate.cli.completion_table import Command, Kind, Value

_NAMES = "casemate completion --functions 2>/dev/null"

# Written in what bash and zsh have in common; `_casemate_words` is each one's own.
_WALK = """\
_casemate_walk() {
  # Arguments: the words before the one to complete, without `casemate`.
  local word expects='' ended='' place=0
  _casemate_at=''
  _casemate_what "$_casemate_at"
  for word in "$@"; do
    if [[ $word == '=' ]]; then continue; fi
    if [[ -n $expects ]]; then expects=''; continue; fi
    if [[ -z $ended && $word == -- ]]; then ended=1; continue; fi
    if [[ -z $ended && $word == -* ]]; then
      if [[ $word != *=* && " $_casemate_valued " == *" $word "* ]]; then expects=$word; fi
      continue
    fi
    if [[ " $_casemate_commands " == *" $word "* ]]; then
      _casemate_at="${_casemate_at:+$_casemate_at }$word"
      _casemate_what "$_casemate_at"
    else
      place=$((place + 1))
    fi
  done
  _casemate_expects=$expects _casemate_place=$place _casemate_ended=$ended
}
"""

_BASH = """\
_casemate() {
  local cur=${COMP_WORDS[COMP_CWORD]} word
  local _casemate_at _casemate_commands _casemate_options _casemate_valued
  local _casemate_expects _casemate_place _casemate_ended _casemate_kind
  COMPREPLY=()
  if [[ $cur == '=' ]]; then cur=''; fi
  _casemate_walk "${COMP_WORDS[@]:1:COMP_CWORD-1}"
  if [[ -z $_casemate_expects && -z $_casemate_ended && $cur == -* ]]; then
    for word in $_casemate_options; do
      if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
    done
    return
  fi
  if [[ -n $_casemate_expects ]]; then
    _casemate_value "$_casemate_at" "$_casemate_expects"
  elif [[ -n $_casemate_commands && $_casemate_place == 0 ]]; then
    _casemate_kind="choice $_casemate_commands"
  else
    _casemate_value "$_casemate_at" "$_casemate_place"
  fi
  case $_casemate_kind in
    file)
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur") ;;
    function)
      while IFS= read -r word; do
        if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
      done < <(@NAMES@) ;;
    choice*)
      for word in ${_casemate_kind#choice}; do
        if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
      done ;;
  esac
}
complete -F _casemate casemate
"""

_ZSH = """\
_casemate() {
  local word
  local _casemate_at _casemate_commands _casemate_options _casemate_valued
  local _casemate_expects _casemate_place _casemate_ended _casemate_kind
  _casemate_walk "${(@)words[2,CURRENT-1]}"
  if [[ -z $_casemate_expects && -z $_casemate_ended && $PREFIX == -* ]]; then
    compadd -- ${=_casemate_options}
    return
  fi
  if [[ -n $_casemate_expects ]]; then
    _casemate_value "$_casemate_at" "$_casemate_expects"
  elif [[ -n $_casemate_commands && $_casemate_place == 0 ]]; then
    _casemate_kind="choice $_casemate_commands"
  else
    _casemate_value "$_casemate_at" "$_casemate_place"
  fi
  case $_casemate_kind in
    file) _files ;;
    function) compadd -- ${(f)"$(@NAMES@)"} ;;
    choice*) compadd -- ${=_casemate_kind#choice} ;;
  esac
}
if [[ $funcstack[1] == _casemate ]]; then _casemate "$@"; else compdef _casemate casemate; fi
"""

_FISH = """\
function __casemate_at
    # True where the words so far lead to exactly this command.
    set -l at
    for word in (commandline -opc)[2..-1]
        set -l below (__casemate_commands "$at")
        if contains -- "$word" $below
            set at (string trim -- "$at $word")
        else if test -n "$below"; and not string match -q -- '-*' "$word"
            return 1
        end
    end
    test "$at" = "$argv[1]"
end
function __casemate_value
    # True where an argument of this command is next, and no option has been begun.
    not string match -q -- '-*' (commandline -ct); and __casemate_at "$argv[1]"
end
"""


def script(shell: str, commands: Sequence[Command]) -> str:
    """Return the script for `bash`, `zsh` or `fish`."""
    return _SCRIPTS[shell](commands)


def _bash(commands: Sequence[Command]) -> str:
    head = "# Completion of casemate for bash; made by `casemate completion bash`.\n"
    return "\n".join((head, _tables(commands), _WALK, _BASH.replace("@NAMES@", _NAMES)))


def _zsh(commands: Sequence[Command]) -> str:
    head = "#compdef casemate\n# Completion for zsh; made by `casemate completion zsh`.\n"
    return "\n".join((head, _tables(commands), _WALK, _ZSH.replace("@NAMES@", _NAMES)))


def _tables(commands: Sequence[Command]) -> str:
    """Return two functions: what a command has, and what a value of it is."""
    lines = ["_casemate_what() {", "  case $1 in"]
    for command in commands:
        valued = [name for o in command.options if o.value for name in o.names]
        names = [name for o in command.options for name in o.names]
        lines += [
            f"    {shlex.quote(command.path)})",
            f"      _casemate_commands={_list(name for name, _ in command.commands)}",
            f"      _casemate_options={_list(names)}",
            f"      _casemate_valued={_list(valued)} ;;",
        ]
    lines += ["  esac", "}", "_casemate_value() {", "  _casemate_kind=''", '  case "$1 $2" in']
    for command in commands:
        for option in command.options:
            if option.value is not None and option.value.kind is not Kind.OTHER:
                cases = "|".join(shlex.quote(f"{command.path} {name}") for name in option.names)
                lines.append(f"    {cases}) _casemate_kind={_kind(option.value)} ;;")
        for place, value in enumerate(command.arguments):
            repeated = command.repeated and place == len(command.arguments) - 1
            if value.kind is not Kind.OTHER:
                case = shlex.quote(f"{command.path} " + ("" if repeated else str(place)))
                lines.append(f"    {case}{'[0-9]*' if repeated else ''})")
                lines.append(f"      _casemate_kind={_kind(value)} ;;")
    return "\n".join((*lines, "  esac", "}\n"))


def _list(names: Iterable[str]) -> str:
    return shlex.quote(" ".join(names))


def _kind(value: Value) -> str:
    return shlex.quote(" ".join((value.kind.value, *value.choices)))


def _fish(commands: Sequence[Command]) -> str:
    lines = [
        "# Completion of casemate for fish; made by `casemate completion fish`.",
        "function __casemate_commands",
        '    switch "$argv[1]"',
    ]
    for command in commands:
        if command.commands:
            names = " ".join(name for name, _ in command.commands)
            lines += [
                f"        case {_fish_word(command.path)}",
                f"            printf '%s\\n' {names}",
            ]
    lines += ["    end", "end", _FISH, "complete -c casemate -f"]
    for command in commands:
        when = f"complete -c casemate -n {_fish_word('__casemate_at ' + _fish_word(command.path))}"
        lines += [
            f"{when} -a {_fish_word(name)} -d {_fish_word(about)}"
            for name, about in command.commands
        ]
        for option in command.options:
            flags = [f"-l {name[2:]}" for name in option.names if name.startswith("--")]
            flags += [f"-s {name[1:]}" for name in option.names if not name.startswith("--")]
            proposals = "" if option.value is None else " -r" + _fish_values(option.value)
            lines.append(f"{when} {' '.join(flags)}{proposals} -d {_fish_word(option.about)}")
        # Each once: fish offers them at every place.
        offered = [v for v in dict.fromkeys(command.arguments) if v.kind is not Kind.OTHER]
        lines += [
            when.replace("__casemate_at", "__casemate_value", 1) + _fish_values(value)
            for value in offered
        ]
    return "\n".join(lines) + "\n"


def _fish_values(value: Value) -> str:
    if value.kind is Kind.FILE:
        return " -F"
    if value.kind is Kind.FUNCTION:
        return f" -x -a {_fish_word(f'({_NAMES})')}"
    if value.kind is Kind.CHOICE:
        return f" -x -a {_fish_word(' '.join(value.choices))}"
    return " -x"


def _fish_word(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_SCRIPTS: dict[str, Callable[[Sequence[Command]], str]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
}
SHELLS = tuple(_SCRIPTS)
