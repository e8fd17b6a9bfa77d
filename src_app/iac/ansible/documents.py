"""YAML as Ansible reads it: in a fixed order, and nothing from Proxmox is ever a template."""

from __future__ import annotations

from typing import Any

import yaml

from src_app.iac.files import MARK

TEMPLATE_SIGNS = ("{{", "{%", "{#")


class Unsafe(str):
    """Text that Ansible must take as it is."""

    __slots__ = ()


class Template(str):
    """Text of ours that Ansible shall evaluate."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key, as Ansible's own tools like it."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - the base's signature
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value in full wherever it stands."""
        return True


def _represent_unsafe(dumper: yaml.SafeDumper, value: Unsafe) -> yaml.ScalarNode:
    return dumper.represent_scalar("!unsafe", str(value), style='"')


def _represent_template(dumper: yaml.SafeDumper, value: Template) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(value), style='"')


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    """Return text; what cannot be seen is escaped, or it would come back as something else."""
    style = None if value.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Unsafe, _represent_unsafe)
_Dumper.add_representer(Template, _represent_template)


def guarded(value: Any) -> Any:
    """Return a value in which each text that looks like a template is marked as none."""
    if isinstance(value, Template):
        return value
    if isinstance(value, str):
        return Unsafe(value) if any(sign in value for sign in TEMPLATE_SIGNS) else value
    if isinstance(value, dict):
        return {key: guarded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [guarded(item) for item in value]
    return value


def document(value: Any) -> str:
    """Return a value as a file of its own."""
    text = yaml.dump(
        guarded(value), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000
    )
    return f"---\n# {MARK}\n{text}"
