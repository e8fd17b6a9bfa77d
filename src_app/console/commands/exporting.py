"""``/export``: the cluster as code; and for ``/validate`` whether that code can be right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src_app.console.registry import Argument, Command, Context, Flag, Outcome
from src_app.iac.ansible.project import PLAYBOOKS, ansible
from src_app.iac.files import Written, difference, exported, write
from src_app.iac.judges import Verdict, ansible_syntax, terraform_fmt, terraform_validate
from src_app.iac.state import ClusterState, read_state
from src_app.iac.terraform.project import terraform
from src_app.iac.validation import Problem, problems
from src_app.observability.redaction import redact

SECTION = "Code"
TOOLS = ("terraform", "ansible")


def generated(context: Context) -> dict[str, dict[str, str]]:
    """Return each tool's files, made from what the workspace's database knows now."""
    services = context.session.services
    state: ClusterState = services.store.read(read_state)
    config = services.workspace.config
    host = f"[{config.host}]" if ":" in config.host else config.host
    endpoint = f"https://{host}:{config.port}/"
    return {"terraform": terraform(state, endpoint=endpoint), "ansible": ansible(state)}


def folder_of(context: Context, tool: str) -> Path:
    """Return where a tool's files lie: in the workspace, or where ``--output`` says."""
    told: str | None = context.values.get("output")
    if told:
        return context.session.cwd / told / tool
    return context.session.services.workspace.root / tool


def export(context: Context) -> Outcome:
    """Write the files, only those that changed; ``--dry-run`` writes none."""
    wanted = context["what"] or "all"
    made = {t: f for t, f in generated(context).items() if wanted in (t, "all")}
    act: Callable[[Path, Mapping[str, str]], Written] = difference if context["dry_run"] else write
    done = {tool: act(folder_of(context, tool), files) for tool, files in made.items()}
    shown = [_line(context, tool, written) for tool, written in done.items()]
    shown += ["Nothing was written."] if context["dry_run"] else []
    return Outcome(tuple(shown), {tool: _plain(written) for tool, written in done.items()})


def _plain(written: Written) -> dict[str, list[str]]:
    return {
        "changed": list(written.changed),
        "removed": list(written.removed),
        "same": list(written.same),
    }


def _line(context: Context, tool: str, written: Written) -> str:
    told = f"{len(written.changed)} written, {len(written.removed)} removed, "
    return f"{tool}: {told}{len(written.same)} as they were, in {folder_of(context, tool)}"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be said of exported code; ``data`` is empty where there is none."""

    shown: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    is_wrong: bool = False


def judge(context: Context) -> Judgement:
    """Return what is wrong with the code that was exported, or that is asked for by its flag."""
    asked = [tool for tool in TOOLS if context[tool]]
    tools = asked or [tool for tool in TOOLS if exported(folder_of(context, tool))]
    if not tools:
        return Judgement()
    made = generated(context)
    found: dict[str, list[Verdict]] = {}
    for tool in tools:
        folder = folder_of(context, tool)
        if context["fix"]:
            write(folder, made[tool])
        found[tool] = _judge(context, tool, folder, made[tool])
    lines = [_verdict_line(tool, verdict) for tool, told in found.items() for verdict in told]
    wrong = [problem for told in found.values() for one in told for problem in one.problems]
    return Judgement(
        (*lines, *(f"  {problem}" for problem in wrong)),
        {tool: [_verdict(verdict) for verdict in told] for tool, told in found.items()},
        bool(wrong),
    )


def _judge(context: Context, tool: str, folder: Path, made: Mapping[str, str]) -> list[Verdict]:
    present = {name: text for name, text in _texts(folder).items() if name in made}
    stale = difference(folder, made)
    parts = [*stale.changed, *stale.removed]
    fresh = Verdict("as the database has it", tuple(Problem(n, "is old: /export") for n in parts))
    verdicts = [fresh, _secrets(present, context.session.services.workspace.secret())]
    if not present:
        return verdicts
    if tool == "terraform":
        verdicts.append(Verdict("provider's arguments", tuple(problems(present))))
        return [*verdicts, terraform_fmt(folder), terraform_validate(folder)]
    return [*verdicts, ansible_syntax(folder, [f"playbooks/{name}" for name in PLAYBOOKS])]


def _texts(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in {".tf", ".yml", ".cfg", ".example"}
    }


def _secrets(files: Mapping[str, str], secret: str) -> Verdict:
    """Return the files in which the workspace's secret stands, or what looks like one."""
    known = [secret] if secret else []
    found = [name for name, text in files.items() if any(s in text for s in known)]
    found += [n for n, text in files.items() if n not in found and "PRIVATE KEY" in redact(text)]
    return Verdict("no secrets", tuple(Problem(name, "has a secret in it") for name in found))


def _verdict_line(tool: str, verdict: Verdict) -> str:
    if verdict.skipped:
        return f"⏭  {tool}, {verdict.tool}: not asked, {verdict.skipped}"
    return f"{'❌' if verdict.problems else '✅'} {tool}, {verdict.tool}"


def _verdict(verdict: Verdict) -> dict[str, Any]:
    told = [{"where": p.where, "what": p.what} for p in verdict.problems]
    return {"tool": verdict.tool, "problems": told, "skipped": verdict.skipped}


EXPORT = Command(
    "/export",
    "write the cluster as Terraform and Ansible",
    export,
    arguments=(Argument("what", "which code", required=False, choices=(*TOOLS, "all")),),
    flags=(
        Flag("--output", "another folder than the workspace's", value="FOLDER", short="-o"),
        Flag("--dry-run", "only say what would be written", short="-n"),
    ),
    examples=("/export", "/export terraform --output code"),
    section=SECTION,
)
JUDGE_FLAGS = (  # of /validate
    Flag("--terraform", "Terraform, also where none was exported", short="-t"),
    Flag("--ansible", "Ansible, also where none was exported", short="-a"),
    Flag("--output", "the folder that code was exported to", value="FOLDER", short="-o"),
    Flag("--fix", "export it anew before it is judged", short="-f"),
)
COMMANDS = (EXPORT,)
