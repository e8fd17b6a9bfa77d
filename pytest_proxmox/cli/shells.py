"""Shells: the vocabulary of the command line, in the words of bash, zsh and fish.

The scripts are whole: completing starts no Python, so a Tab takes no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from pytest_proxmox.cli.vocabulary import Entry, Flag

COMMAND: Final = "pytest-proxmox"
Render = Callable[[Sequence[Entry], Sequence[Flag]], str]

_BASH_HEAD: Final = """\
# pytest-proxmox: completion for bash 4 or newer
_pytest_proxmox() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command= word
    local words= files=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $word == -* ]] || { command=$word && break; }
    done
"""
_BASH_TAIL: Final = """\
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ -n $files && $cur != -* ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur")
    fi
}
complete -F _pytest_proxmox pytest-proxmox
"""


def bash(entries: Sequence[Entry], flags: Sequence[Flag]) -> str:
    """Return the script for bash."""
    valued = [
        f'        "{entry.name} {name}") {_bash_set(flag.values, file=flag.takes_file)} ;;'
        for entry in entries
        for flag in entry.flags
        if flag.takes_value
        for name in flag.names
    ]
    bare = [
        f'        "{entry.name} "*) {_bash_set(_bare_words(entry), file=entry.takes_file)} ;;'
        for entry in entries
    ]
    first = [*(entry.name for entry in entries), *(name for flag in flags for name in flag.names)]
    lines = [
        '    case "$command $prev" in',
        f'        " "*) {_bash_set(first, file=False)} ;;',
        *valued,
        *bare,
        "    esac",
    ]
    return _BASH_HEAD + "".join(f"{line}\n" for line in lines) + _BASH_TAIL


def _bash_set(words: Sequence[str], *, file: bool) -> str:
    return f'words="{" ".join(words)}" files={"1" if file else ""}'


def _bare_words(entry: Entry) -> list[str]:
    return [*entry.words, *(name for flag in entry.flags for name in flag.names)]


def zsh(entries: Sequence[Entry], flags: Sequence[Flag]) -> str:
    """Return the script for zsh, to be named ``_pytest-proxmox`` in a folder of ``$fpath``."""
    commands = [f"        {_quoted(f'{_plain(one.name)}:{one.text}')}" for one in entries]
    cases = [line for entry in entries for line in _zsh_case(entry)]
    own = " ".join(_quoted(_zsh_flag(flag, name)) for flag in flags for name in flag.names)
    lines = [
        f"#compdef {COMMAND}",
        "_pytest_proxmox() {",
        "    local context state state_descr line",
        "    typeset -A opt_args",
        "    local -a commands=(",
        *commands,
        "    )",
        f"    _arguments -C {own} '1:command:->command' '*::argument:->argument' && return",
        "    case $state in",
        "        command) _describe command commands ;;",
        "        argument)",
        "            case $words[1] in",
        *cases,
        "            esac ;;",
        "    esac",
        "}",
        'if [ "$funcstack[1]" = "_pytest-proxmox" ]; then',
        '    _pytest_proxmox "$@"',
        "else",
        f"    compdef _pytest_proxmox {COMMAND}",
        "fi",
    ]
    return "".join(f"{line}\n" for line in lines)


def _zsh_case(entry: Entry) -> Iterator[str]:
    yield f"                {entry.name})"
    yield "                    _arguments -s \\"
    for flag in entry.flags:
        for name in flag.names:
            yield f"                        {_quoted(_zsh_flag(flag, name))} \\"
    bare = f"*:argument:{_zsh_action(entry.words, file=entry.takes_file)}"
    yield f"                        {_quoted(bare)} ;;"


def _zsh_flag(flag: Flag, name: str) -> str:
    text = flag.text.translate({ord(sign): f"\\{sign}" for sign in "[]:"})
    value = f":value:{_zsh_action(flag.values, file=flag.takes_file)}" if flag.takes_value else ""
    return f"{name}[{text}]{value}"


def _zsh_action(values: Sequence[str], *, file: bool) -> str:
    if file and values:
        return f'{{_alternative "words:word:({" ".join(values)})" "files:file:_files"}}'
    if file:
        return "_files"
    return f"({' '.join(values)})" if values else " "


def fish(entries: Sequence[Entry], flags: Sequence[Flag]) -> str:
    """Return the script for fish."""
    lines = [f"complete -c {COMMAND} -f"]
    lines += [f"complete -c {COMMAND} -n __fish_use_subcommand {_fish_flag(one)}" for one in flags]
    for entry in entries:
        lines.append(
            f"complete -c {COMMAND} -n __fish_use_subcommand -a {entry.name}"
            f" -d {_quoted(entry.text)}"
        )
        seen = f"complete -c {COMMAND} -n '__fish_seen_subcommand_from {entry.name}'"
        lines += [f"{seen} {_fish_flag(flag)}" for flag in entry.flags]
        if entry.words:
            lines.append(f"{seen} -a {_quoted(' '.join(entry.words))}")
        if entry.takes_file:
            lines.append(f"{seen} -F")
    return "".join(f"{line}\n" for line in lines)


def _fish_flag(flag: Flag) -> str:
    names = [f"-l {one[2:]}" if one.startswith("--") else f"-s {one[1:]}" for one in flag.names]
    value = []
    if flag.takes_value:
        value.append("-r" + (" -F" if flag.takes_file else ""))
    if flag.values:
        value.append(f"-a {_quoted(' '.join(flag.values))}")
    return " ".join([*names, *value, f"-d {_quoted(flag.text)}"])


def _quoted(text: str) -> str:
    """A text between single quotes; one inside stands between two such texts."""
    return "'" + text.replace("'", "'\\''") + "'"


def _plain(text: str) -> str:
    return text.replace(":", "\\:")


SHELLS: Final[Mapping[str, Render]] = {"bash": bash, "zsh": zsh, "fish": fish}
