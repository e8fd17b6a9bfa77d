"""The last run as JUnit XML: each test once, its earlier attempts as flaky or rerun failures.

The elements are those of Maven Surefire's schema, which CI systems read.
"""

from __future__ import annotations

import re
from itertools import groupby
from xml.etree import ElementTree

from pytest_proxmox.report.events import CRASHED, ERROR, FAILED, SKIPPED, XFAILED, Attempt
from pytest_proxmox.report.figures import Figures

_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(figures: Figures) -> str:
    """Return the XML text."""
    attempts = sorted(figures.latest, key=lambda one: one.nodeid)
    tests = [list(group) for _, group in groupby(attempts, key=lambda one: one.nodeid)]
    finals = [group[-1] for group in tests]
    suite = ElementTree.Element(
        "testsuite",
        name=figures.project,
        tests=str(len(tests)),
        failures=str(sum(a.outcome == FAILED and not a.quarantined for a in finals)),
        errors=str(sum(a.outcome in (ERROR, CRASHED) and not a.quarantined for a in finals)),
        skipped=str(sum(a.outcome in (SKIPPED, XFAILED) or a.quarantined for a in finals)),
        time=f"{sum(a.duration_s for a in attempts):.3f}",
    )
    for group in tests:
        suite.append(_case(sorted(group, key=lambda one: one.number)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(attempts: list[Attempt]) -> ElementTree.Element:
    last = attempts[-1]
    place, _, name = _plain(last.nodeid).rpartition("::")
    case = ElementTree.Element(
        "testcase",
        classname=place.replace(".py", "").replace("/", ".").replace("::", "."),
        name=name,
        time=f"{sum(a.duration_s for a in attempts):.3f}",
    )
    bad = last.is_bad and not last.quarantined
    for earlier in attempts[:-1]:
        _append(case, "rerunFailure" if bad else "flakyFailure", earlier)
    if last.quarantined or last.outcome in (SKIPPED, XFAILED):
        why = "in quarantine" if last.quarantined else last.outcome
        ElementTree.SubElement(case, "skipped", message=why)
    elif bad:
        _append(case, "failure" if last.outcome == FAILED else "error", last)
    return case


def _append(case: ElementTree.Element, tag: str, attempt: Attempt) -> None:
    failure = attempt.failure
    text = _plain(failure.message) if failure else attempt.outcome
    kind = failure.kind if failure else attempt.outcome
    ElementTree.SubElement(case, tag, message=text, type=kind).text = text


def _plain(text: str) -> str:
    return _NOT_XML.sub("?", text)
