"""Plain English for the common things: a phrase becomes a command, or is refused.

Rules, no guesses: every word of the phrase must be understood. What is shown to the user, and
confirmed, is the command; the phrase itself never runs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_POLITE = re.compile(
    r"^(?:please|now|hey|ok|(?:can|could|would|will) you(?: please)?|i(?: want|'d like| would like)"
    r"(?: you)? to|let's|lets|just)\s+"
)
_END = re.compile(r"(?:[\s,]+(?:please|now|for me|thanks|thank you))+$")
_NOT = re.compile(
    r"\b(?:not|don't|dont|never|unless|except|without|should|and then|then|if|but|or|maybe"
    r"|tomorrow|later|after|before|until)\b"
)
_STRAY = re.compile(r"[^a-z0-9\s.'_@,:/?-]")

KIND = r"(?:virtual machine|vm|container|lxc|ct|guest)"
NAME = r"(?P<name>[a-z0-9][a-z0-9.-]*)"
NODE = r"(?: (?:on|from|at)(?: (?:the )?(?:node|host))? (?P<node>[a-z0-9][a-z0-9-]*))?"
RESERVED = frozenset(
    "all every everything the a an it them this that and on in with to of one some any vm vms "
    "container containers guest guests node nodes host plan changes called named me my new "
    "machine virtual lxc ct cts server please now again running stopped what which up down "
    "off out".split()
)
_KINDS: Mapping[str, str] = {
    "virtual machine": "vm", "vm": "vm", "container": "container", "lxc": "container",
    "ct": "container", "guest": "", "lxc container": "container",
}  # fmt: skip
_LISTS = {"vm": "vms", "container": "containers", "": "all"}
_STATES = {"running": "running", "started": "running", "stopped": "stopped", "off": "stopped"}

Build = Callable[[re.Match[str]], str | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A whole phrase, and the command it stands for."""

    pattern: re.Pattern[str]
    build: Build


def understand(phrase: str) -> str | None:
    """Return the command that a phrase asks for, None where it is not wholly understood."""
    plain = " ".join(phrase.lower().split()).rstrip(".! ")
    plain = plain.replace("?", "").strip()
    while found := _POLITE.match(plain):
        plain = plain[found.end() :]
    plain = _END.sub("", plain)
    if _NOT.search(plain) or _STRAY.search(plain):
        return None
    for rule in _RULES:
        match = rule.pattern.fullmatch(plain)
        command = rule.build(match) if match else None
        if command is not None:
            return command
    return None


# --- making -----------------------------------------------------------------------------------

_ROLES = r"(?P<role>web|database|db|mail|file|dns|proxy|cache|build|test|app|game|media|backup)"
_PARTS = re.compile(
    r"(?P<cores>\d+) (?:cpu |v?cpu )?(?:cores?|v?cpus?)"
    r"|(?P<memory>\d+) ?(?P<unit>gb|gib|g|mb|mib|m)(?: of)? (?:memory|ram)"
    r"|(?P<disk>\d+) ?(?:gb|gib|g)(?: of)? (?:disk|storage|space|disk space)"
)
_CREATE = re.compile(
    r"(?:create|make|add|build|set up|spin up|launch|deploy|provision)"
    r"(?: me)?(?: (?:a|an|one))?(?: new)?"
    rf"(?: (?:{_ROLES} )?(?P<kind>virtual machine|vm|lxc container|container|lxc|server))"
    r"(?: (?:called|named) " + NAME + ")?" + NODE.replace("P<node>", "P<node1>") +
    r"(?: with (?P<parts>.+?))?" + NODE
)  # fmt: skip


def _create(match: re.Match[str]) -> str | None:
    told = _sizes(match["parts"])
    name = match["name"] or (f"{match['role']}-server" if match["role"] else None)
    node = match["node"] or match["node1"]
    if told is None or name is None or _is_reserved(name, node):
        return None
    kind = _KINDS.get(match["kind"], "container")
    return _line("create", kind, "--name", name, *told, *(["--node", node] if node else []))


def _sizes(text: str | None) -> list[str] | None:
    """Return the flags for "4 cores, 2 GB of memory and 10 GB disk", None where it is unclear."""
    found: dict[str, str] = {}
    for part in re.split(r",? and |, ?", text or ""):
        if not part:
            continue
        match = _PARTS.fullmatch(part.strip())
        if match is None:
            return None
        flag, value = "--disk", match["disk"]
        if match["cores"]:
            flag, value = "--cores", match["cores"]
        elif match["memory"]:
            factor = 1024 if match["unit"].startswith("g") else 1
            flag, value = "--memory", str(int(match["memory"]) * factor)
        if flag in found:
            return None
        found[flag] = value
    return [word for pair in found.items() for word in pair]


# --- power, removal ---------------------------------------------------------------------------

_START = r"(?P<verb>start|boot|power on|turn on|bring up|launch)"
_STOP = r"(?P<verb>stop|halt|shut down|shutdown|power off|turn off|take down)"
_DELETE = r"(?P<verb>delete|remove|destroy|get rid of)"
_VERBS: Mapping[str, str] = {
    **dict.fromkeys("start|boot|power on|turn on|bring up|launch".split("|"), "start"),
    **dict.fromkeys("stop|halt|shut down|shutdown|power off|turn off|take down".split("|"), "stop"),
    **dict.fromkeys("delete|remove|destroy|get rid of".split("|"), "delete"),
}


def _one(match: re.Match[str]) -> str | None:
    """``stop container web``: the kind must be told."""
    kind = _KINDS[match["kind"]]
    if not kind or _is_reserved(match["name"]):
        return None
    return _line(_VERBS[match["verb"]], kind, match["name"])


def _all(match: re.Match[str]) -> str | None:
    """``stop all containers on pve``."""
    kind = _KINDS[match["kind"]]
    if not kind or _is_reserved(match["node"]):
        return None
    node = ["--node", match["node"]] if match["node"] else []
    return _line(_VERBS[match["verb"]], kind, "--all", *node)


# --- looking ----------------------------------------------------------------------------------


def _list(match: re.Match[str]) -> str | None:
    groups = match.groupdict()
    what = groups["what"]
    target = {"nodes": "nodes", "storages": "storages", "storage": "storages"}.get(what)
    if target is None:
        target = _LISTS[_KINDS[what.removesuffix("s")]]
    state = groups.get("state") or groups.get("state2")
    flags = ["--status", _STATES[state]] if state else []
    node = groups.get("node")
    if _is_reserved(node):
        return None
    return _line("list", target, *flags, *(["--node", node] if node else []))


def _describe(match: re.Match[str]) -> str | None:
    kind = _KINDS[match["kind"]]
    if not kind or _is_reserved(match["name"]):
        return None
    return _line("describe", kind, match["name"])


def _fixed(command: str) -> Build:
    return lambda _: command


def _line(*words: str) -> str:
    return shlex.join(words)


def _is_reserved(*names: str | None) -> bool:
    return any(name in RESERVED for name in names if name)


def _rule(pattern: str, build: Build) -> Rule:
    return Rule(re.compile(pattern), build)


_ALL = rf"(?: down| off)? (?:all|every)(?: of)?(?: the| my)? (?P<kind>{KIND})s?{NODE}"
_ONE = rf"(?: the| my)? (?P<kind>{KIND})(?: (?:called|named))? {NAME}"
_WHAT = rf"(?P<what>{KIND}s|nodes|storages?)"
_STATE = r"(?:(?P<state>running|started|stopped) )?"
_RULES: tuple[Rule, ...] = (
    Rule(_CREATE, _create),
    *(_rule(verb + _ALL, _all) for verb in (_START, _STOP)),
    *(_rule(verb + _ONE, _one) for verb in (_START, _STOP, _DELETE)),
    _rule(
        r"(?:list|show|display|give)(?: me)?(?: (?:all|every))?(?: of)?(?: the| my)? "
        rf"{_STATE}{_WHAT}(?: (?:that|which) are (?P<state2>running|stopped|off))?{NODE}",
        _list,
    ),
    _rule(rf"(?:what|which) {_WHAT} are (?P<state>running|stopped|off){NODE}", _list),
    _rule(rf"(?:what|which) {_WHAT} (?:are there|do i have|exist){NODE}", _list),
    _rule(
        r"(?:describe|inspect|show me the details of|show details of|details of|tell me about)"
        + _ONE,
        _describe,
    ),
    _rule(
        r"(?:sync|synchroni[sz]e|refresh)(?: (?:the )?workspace)?"
        r"(?: with (?:the )?(?:proxmox|cluster|server))?|update the workspace",
        _fixed("/sync"),
    ),
    _rule(
        r"(?:what would|show what would) (?:a |the )?sync (?:do|change)", _fixed("/sync --dry-run")
    ),
    _rule(
        r"what (?:would|will) (?:change|be changed)|(?:show|show me|make) (?:the|a) plan",
        _fixed("/plan"),
    ),
    _rule(r"apply(?: (?:the|my))? (?:plan|changes)", _fixed("/apply")),
    _rule(
        r"(?:how is|show me the status of|show the status of) (?:the|my) workspace"
        r"|what is the status",
        _fixed("/status"),
    ),
    _rule(
        r"(?:test|check)(?: the)? connection(?: to (?:the )?(?:proxmox|cluster|server))?"
        r"|is (?:the )?(?:proxmox|cluster|server) (?:there|up|reachable)",
        _fixed("/test"),
    ),
    _rule(r"what can (?:you|i) do|help me", _fixed("/help")),
)
