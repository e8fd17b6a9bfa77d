"""Write the pages of docs/reference/ that follow from the code; a test says when they are old."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

from pytest_proxmox import faults, marks, options, room_options
from pytest_proxmox.errors import WorldError
from pytest_proxmox.flaky import settings as flaky
from pytest_proxmox.hygiene.settings import KINDS
from pytest_proxmox.simulator.world import World
from scripts import reference_facts as facts
from scripts.reference_messages import messages

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
PYPROJECT = FOLDER.parents[1] / "pyproject.toml"
MADE = "Made by `scripts/reference_pages.py` from the code.\n"


def pages() -> dict[str, str]:
    """Return each page's text by its file's name."""
    return {
        "fixtures.md": fixtures(),
        "markers.md": markers(),
        "options.md": settings(),
        "environment.md": environment(),
        "cli.md": commands(),
        "world.md": world(),
        "control-plane.md": control(),
        "faults.md": fault_rules(),
        "messages.md": error_messages(),
        "compatibility.md": compatibility(),
    }


def fixtures() -> str:
    """Return the page of fixtures, a section for each room."""
    parts = ["# Fixtures\n", MADE, facts.FIXTURES]
    for title, modules in facts.ROOMS:
        parts.append(f"\n## {title}\n")
        found = {one.name: one for module in modules for one in facts.fixtures_in(module)}
        real = {one.name: one for one in facts.fixtures_in(facts.PAGES) if one.name in found}
        found.update(real)  # beside pytest-playwright these stand before the room's own
        for one in found.values():
            parts.append(f"\n### `{one.name}` ({one.scope})\n\n{one.text}\n")
    return "\n".join(parts[:3]) + "".join(parts[3:])


def markers() -> str:
    """Return the page of marks."""
    rows = [*marks.MARKERS, marks.TIMEOUT_MARKER]
    signature, _, text = room_options.DB_MARK.partition(": ")
    lines = [_row(f"`{name}`", what) for name, what in [*rows, (signature, text)]]
    return "\n".join(["# Markers\n", MADE, facts.MARKERS, *_head("marker", "means"), *lines, ""])


def settings() -> str:
    """Return the page of command line options and ini keys."""
    lines = ["# Options and ini keys\n", MADE, facts.OPTIONS]
    lines += ["## Proxmox\n", *_head("option", "ini key", "means")]
    for one in options.OPTIONS:
        lines.append(_row(f"`{one.flag} {one.metavar}`", f"`{one.ini}`", one.help))
    lines += ["\n## Other options\n", *_head("option", "means")]
    known = {one.flag for one in options.OPTIONS}
    flags, keys = facts.declared()
    lines += [_row(f"`{flag}`", text) for flag, text in flags if flag.split()[0] not in known]
    lines += ["\n## Other ini keys\n", *_head("key", "means")]
    known = {one.ini for one in options.OPTIONS}
    lines += [_row(f"`{key}`", text) for key, text in keys if key not in known]
    return "\n".join([*lines, ""])


def environment() -> str:
    """Return the page of environment variables."""
    lines = ["# Environment variables\n", MADE, facts.ENVIRONMENT, *_head("variable", "means")]
    for one in (*options.OPTIONS, *options.SECRETS):
        said = f"as `{one.flag}`: {one.help}" if one.flag else one.help
        lines.append(_row(", ".join(f"`{name}`" for name in one.env), said))
    lines.append(_row(f"`{flaky.HISTORY_VARIABLE}`", f"as `{flaky.HISTORY.flag}`"))
    lines += [_row(f"`{name}`", text) for name, text in facts.OTHER_VARIABLES.items()]
    return "\n".join([*lines, ""])


def commands() -> str:
    """Return the page of the command line, a section for each command."""
    lines = ["# The command `pytest-proxmox`\n", MADE, facts.CLI]
    for one in facts.commands():
        lines += [f"## `pytest-proxmox {one.name}`\n", f"{one.text}\n"]
        if one.flags:
            lines += [*_head("argument", "means"), *(_row(f"`{a}`", b) for a, b in one.flags), ""]
    return "\n".join(lines)


def world() -> str:
    """Return the page of the world file."""
    lines = ["# The world file\n", MADE, facts.WORLD]
    for title, known, told in (
        ("Top level", _known({}, "at_all"), facts.WORLD_KEYS),
        ("A node", _known({"nodes": {"a": {"at_all": 1}}}), facts.NODE_KEYS),
        ("A workload", _known(_workload()), facts.WORKLOAD_KEYS),
    ):
        _must_agree(title, known, told)
        lines += [f"## {title}\n", *_head("key", "means")]
        lines += [*(_row(f"`{key}`", text) for key, text in told.items()), ""]
    preset = json.dumps(_short(World.preset("single").data), indent=1)
    return "\n".join([*lines, facts.WORLD_PRESET, f"```json\n{preset}\n```\n"])


def control() -> str:
    """Return the page of the two control planes."""
    lines = ["# The control planes\n", MADE, facts.CONTROL]
    for title, known, told in (
        ("The embedded Proxmox (`serve`)", facts.simulator_calls(), facts.SIMULATOR_CALLS),
        ("The gateway (`gateway`)", facts.gateway_calls(), facts.GATEWAY_CALLS),
    ):
        _must_agree(title, known, told)
        lines += [f"## {title}\n", *_head("call", "does")]
        lines += [*(_row(f"`{call}`", text) for call, text in told.items()), ""]
    return "\n".join(lines)


def fault_rules() -> str:
    """Return the page of faults: effects, keys of a rule, and the catalogue of errors."""
    _must_agree("effects", set(faults.EFFECTS), facts.EFFECTS)
    lines = ["# Faults\n", MADE, facts.FAULTS, "## Effects\n", *_head("effect", "does")]
    lines += [_row(f"`{name}`", text) for name, text in facts.EFFECTS.items()]
    _must_agree("keys of a rule", facts.rule_keys(), facts.RULE_KEYS)
    lines += ["\n## Keys of a rule\n", *_head("key", "means")]
    lines += [_row(f"`{name}`", text) for name, text in facts.RULE_KEYS.items()]
    lines += ["\n## Errors by name\n", *_head("error", "status", "reason phrase")]
    for name, (status, text) in faults.CATALOGUE.items():
        lines.append(_row(f"`{name}`", str(status), f"`{text}`"))
    return "\n".join([*lines, ""])


def error_messages() -> str:
    """Return the page of messages, a section for each error, then what has no error's name."""
    lines = ["# Messages\n", MADE, facts.MESSAGES]
    found = messages()
    for error in dict.fromkeys(one.error for one in found if one.error):
        lines += [f"## {error}\n", facts.RUNBOOK.format(anchor=error.lower())]
        lines += _head("message", "what to do")
        lines += [_row(f"``{one.text}``", one.hint) for one in found if one.error == error]
        lines.append("")
    lines += ["## pytest's own failures and skips\n", *_head("message")]
    lines += [_row(f"``{one.text}``") for one in found if not one.error]
    lines += ["", facts.LEFT_BEHIND, *_head("message", "what to do", "ini key")]
    lines += [_row(f"``… {one.predicate}``", one.advice, f"`{one.ini}`") for one in KINDS.values()]
    return "\n".join([*lines, ""])


def compatibility() -> str:
    """Return the page of versions, as ``pyproject.toml`` has them."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    python = "Programming Language :: Python :: 3."
    minors = [one.removeprefix(python) for one in project["classifiers"] if one.startswith(python)]
    lines = ["# Compatibility\n", MADE, facts.COMPATIBILITY, *_head("what", "extra", "versions")]
    lines.append(_row("Python", "", ", ".join(f"3.{minor}" for minor in minors)))
    extras = project["optional-dependencies"]
    groups = {"": project["dependencies"]} | {one: extras[one] for one in facts.EXTRAS}
    for extra, requirements in groups.items():
        for text in requirements:
            name, _, oldest = text.partition(";")[0].strip().partition(">=")
            lines.append(_row(name, f"`{extra}`" if extra else "", f"{oldest} and newer"))
    return "\n".join([*lines, "", facts.PROXMOX_VERSIONS])


def _workload() -> dict[str, object]:
    return {"nodes": {"a": {}}, "workloads": {"a": {"at_all": 1}}}


def _known(data: Mapping[str, object], extra: str = "") -> set[str]:
    """Return the keys that a world file may have there, as the reader itself names them."""
    try:
        World.parse({**data, **({extra: 1} if extra else {})}, origin="the reference")
    except WorldError as exc:
        return set(exc.hint.removeprefix("Known are ").split(", "))
    raise ValueError(f"the reader took a key that is none: {data}")


def _must_agree(what: str, known: set[str], told: Mapping[str, str]) -> None:
    """Refuse to write a page that leaves something out, or tells of what is not there."""
    if known != set(told):
        raise ValueError(f"{what}: scripts/reference_facts.py differs in {known ^ set(told)}")


def _short(data: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in data.items() if value not in ({}, [], None)}


def _head(*names: str) -> list[str]:
    return [_row(*names), _row(*("---" for _ in names))]


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


if __name__ == "__main__":
    for file, text in pages().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
    sys.exit(0)
