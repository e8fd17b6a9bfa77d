"""``python -m e2e_tests.gallery DIR``: what the flows of a run showed, as a page and as lines.

``DIR`` has ``results.xml``, the run's JUnit file, and ``pages``, where its pictures are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from xml.etree import ElementTree

SIGNS = {"passed": "✓", "failed": "✗", "skipped": "–"}  # noqa: RUF001
STYLE = """:root{color-scheme:light dark}body{font:15px system-ui;margin:2rem auto;max-width:1400px;
padding:0 1rem;background:light-dark(#f4f5fa,#0e111d);color:light-dark(#191d2e,#e9ebf6)}
main{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(min(420px,100%),1fr))}
figure{margin:0;border-radius:14px;overflow:hidden;border:1px solid light-dark(#dfe2ee,#2a3150);
background:light-dark(#fff,#181d30)}img{display:block;width:100%;aspect-ratio:16/9;
object-fit:cover;object-position:top}figcaption{padding:.8rem 1rem;display:flex;gap:.6rem}
.time{margin-left:auto;opacity:.7;white-space:nowrap}.failed{color:light-dark(#b3203a,#ff8d9e)}
.passed{color:light-dark(#0a6b4f,#5fdcae)}a{color:inherit}"""


@dataclass(frozen=True)
class Flow:
    """One test of the run: its name as a sentence, how it ended, its last picture."""

    name: str
    outcome: str
    took_s: float
    picture: Path | None

    @property
    def line(self) -> str:
        """The flow as a line of text."""
        return f"  {SIGNS[self.outcome]} {self.name:<74.74} {self.took_s:6.1f} s"


def flows(folder: Path) -> Iterator[Flow]:
    """Yield what the run's JUnit file has, with pictures."""
    for case in ElementTree.parse(folder / "results.xml").iter("testcase"):  # noqa: S314 - our own
        failed = case.find("failure") is not None or case.find("error") is not None
        outcome = (
            "failed" if failed else "skipped" if case.find("skipped") is not None else "passed"
        )
        test = case.get("name", "")
        yield Flow(
            name=told(test),
            outcome=outcome,
            took_s=float(case.get("time", 0)),
            picture=_picture(folder / "pages", test),
        )


def told(test: str) -> str:
    """Return a test's name as a sentence, with what it was given besides its browser."""
    name, _, given = test.rstrip("]").partition("[")
    words = re.sub(r"^test_", "", name).replace("_", " ")
    more = given.removeprefix("chromium").strip("-")
    return words[:1].upper() + words[1:] + (f": {more}" if more else "")


def _picture(folder: Path, test: str) -> Path | None:
    """Return the picture in the folder that pytest-playwright named after the test."""
    wanted = re.sub(r"[^a-z0-9]+", "-", test.lower()).strip("-")
    found = sorted(
        picture
        for picture in folder.glob("*/*.png")
        if picture.parent.name.lower().endswith(f"-{wanted}")
    )
    return found[0] if found else None


def page(folder: Path, shown: list[Flow]) -> str:
    """Return the gallery as HTML."""
    figures = "".join(_figure(folder, flow) for flow in shown)
    matrix = folder / "pages" / "navigation-matrix.html"
    more = f'<p><a href="{matrix.relative_to(folder)}">Each switch from view to view</a></p>'
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>What the flows showed</title>'
        f"<style>{STYLE}</style><h1>{escape(sum_of(shown))}</h1>{more if matrix.exists() else ''}"
        f"<main>{figures}</main></html>"
    )


def _figure(folder: Path, flow: Flow) -> str:
    picture = ""
    if flow.picture is not None:
        path = escape(str(flow.picture.relative_to(folder)), quote=True)
        picture = f'<a href="{path}"><img src="{path}" alt="" loading="lazy"></a>'
    sign = f'<strong class="{flow.outcome}">{SIGNS[flow.outcome]}</strong>'
    text = f'{sign}<span>{escape(flow.name)}</span><span class="time">{flow.took_s:.1f} s</span>'
    return f"<figure>{picture}<figcaption>{text}</figcaption></figure>"


def sum_of(shown: list[Flow]) -> str:
    """Return the sum of all in a line."""
    passed = sum(flow.outcome == "passed" for flow in shown)
    took_s = sum(flow.took_s for flow in shown)
    return f"{passed} of {len(shown)} flows passed in {took_s:.0f} s"


def main(arguments: list[str]) -> int:
    """Write the gallery, print its lines, and return 0."""
    folder = Path(arguments[0])
    shown = list(flows(folder))
    (folder / "index.html").write_text(page(folder, shown), encoding="utf-8")
    for flow in shown:
        print(flow.line)
    print(f"\n  {sum_of(shown)}: {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
