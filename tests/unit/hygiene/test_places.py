"""The line that is named: the tests' or the project's own, not the library's in between."""

from __future__ import annotations

import socket
import sys
import sysconfig
from pathlib import Path

import pytest

from pytest_proxmox.hygiene.places import Place, Trail, first_own, of_origin

STANDARD = str(Path(sysconfig.get_path("stdlib"), "socket.py"))
INSTALLED = str(Path(sysconfig.get_path("purelib"), "httpx", "_client.py"))
OWN = str(Path("/project/tests/test_app.py"))
APP = str(Path("/project/app/service.py"))


def test_own_line_is_named_before_python_s_and_a_package_s() -> None:
    place = of_origin([(STANDARD, 1, "socket"), (INSTALLED, 2, "send"), (APP, 3, "deploy")])

    assert place is not None
    assert place.frames == ((APP, 3, "deploy"),)
    assert place.inner == ("socket", "send")
    assert place.library  # it was a package that asked Python for it


def test_innermost_own_line_comes_first_and_its_callers_follow() -> None:
    place = of_origin([(APP, 3, "deploy"), (OWN, 9, "test_it")])

    assert place is not None
    assert (place.file, place.line, place.function) == (APP, 3, "deploy")
    assert place.callers == ((OWN, 9, "test_it"),)
    assert not place.library


@pytest.mark.parametrize("origin", [None, ()], ids=["none", "empty"])
def test_no_origin_is_no_place(origin: tuple[()] | None) -> None:
    assert of_origin(origin) is None


def test_line_of_a_package_is_named_where_there_is_no_other() -> None:
    place = of_origin([(STANDARD, 1, "socket"), (INSTALLED, 2, "send")])

    assert place is not None
    assert place.file == INSTALLED


def test_trail_ends_at_the_harness_and_names_the_test() -> None:
    line = sys._getframe().f_lineno + 1
    trail = Trail(skip=0)

    assert trail.place.frames == (
        (__file__, line, "test_trail_ends_at_the_harness_and_names_the_test"),
    )
    assert not trail.is_anybodys


def test_what_an_import_makes_is_nobody_s() -> None:
    place = of_origin([(APP, 3, "<module>"), ("<frozen importlib._bootstrap>", 241, "_call")])

    assert place is not None
    assert place.importing


def test_rendered_place_is_relative_to_the_root_and_shows_the_code(tmp_path: Path) -> None:
    file = tmp_path / "app.py"
    file.write_text("first\n    made_here()\n", encoding="utf-8")

    text = Place(str(file), 2, "deploy", callers=((OWN, 9, "test_it"),)).render(str(tmp_path))

    assert text.splitlines() == [
        "app.py:2 in deploy",
        "    made_here()",
        f"  called from {OWN}:9 in test_it",
    ]


def test_first_own_function_among_the_frames_is_found() -> None:
    frames = [(STANDARD, 1, "socket"), (APP, 3, "server"), (OWN, 9, "client")]

    assert first_own(frames, frozenset({"client", "server"})) == "server"
    assert first_own(frames, frozenset({"other"})) is None


def test_trail_skips_the_frames_that_note_it() -> None:
    def note() -> Trail:
        return Trail(skip=1)

    with socket.socket():
        assert note().place.function == "test_trail_skips_the_frames_that_note_it"
