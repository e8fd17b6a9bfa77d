"""Perl's patterns mean the same in Python."""

from __future__ import annotations

import json
import re

import pytest

from pytest_proxmox.simulator.schema.catalog import DATA
from pytest_proxmox.simulator.schema.patterns import compile_pattern, translate


@pytest.mark.parametrize(
    ("perl", "python"),
    [
        (r"(?^:[a-z]+)", r"(?:[a-z]+)"),
        (r"(?^i:[a-z]+)", r"(?i:[a-z]+)"),
        (r"(?^u:(?^:a)|b)", r"(?:(?:a)|b)"),
        (r"[[:alpha:]_]", r"[a-zA-Z_]"),
        (r"\S+", r"\S+"),
    ],
    ids=["plain group", "case", "nested", "POSIX class", "nothing to do"],
)
def test_translation(perl: str, python: str) -> None:
    assert translate(perl) == python


def patterns() -> set[str]:
    """Return every pattern of the data file, wherever it stands."""
    texts = re.findall(r'"pattern":("(?:[^"\\]|\\.)*")', DATA.read_text(encoding="utf-8"))
    return {json.loads(text) for text in texts}


@pytest.mark.parametrize("perl", sorted(patterns()))
def test_pattern_of_the_api_is_valid_and_gives_up_early(perl: str) -> None:
    # A pattern that tries every way to cut its text would not come back from this.
    for text in ("a1-_.:" * 500, "a" * 3000, "1;" * 1500, "a=b," * 700):
        assert not compile_pattern(perl).fullmatch(text + "\n\0")


def test_image_reference_is_judged_at_once() -> None:
    reference = next(perl for perl in patterns() if perl.endswith(r":\w[\w.-]{0,127}$"))
    assert compile_pattern(reference).fullmatch("docker.io/library/nginx:1.27")
    assert not compile_pattern(reference).fullmatch("a" * 200 + "!")
