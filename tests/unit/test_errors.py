"""Errors: four parts in one line, and the objects kept."""

from __future__ import annotations

from pytest_proxmox.errors import (
    AuthFailed,
    ForeignGuest,
    InvalidValue,
    MissingExtra,
    TaskFailed,
    WorldError,
)


def test_user_mistake_says_what_where_from_and_what_to_do() -> None:
    error = InvalidValue('"x" is not a clock', origin="option --proxmox-clock", hint="Use instant")
    assert str(error) == '"x" is not a clock (option --proxmox-clock). Use instant'
    assert (error.origin, error.hint) == ("option --proxmox-clock", "Use instant")


def test_user_mistake_without_origin_and_hint_is_one_sentence() -> None:
    assert str(InvalidValue("nothing fits")) == "nothing fits."


def test_world_error_names_the_field_and_the_file() -> None:
    error = WorldError("nodes.pve1.maxcpu", "is not a number", origin="lab.json")
    assert str(error) == "world: nodes.pve1.maxcpu: is not a number (lab.json)."
    assert error.field == "nodes.pve1.maxcpu"


def test_missing_extra_gives_the_line_to_install() -> None:
    error = MissingExtra.for_feature("db_session", extra="db")
    assert "pip install 'pytest-proxmox[db]'" in str(error)


def test_task_error_shows_the_end_of_the_log() -> None:
    error = TaskFailed("create failed", upid="UPID:x", log_tail=["one", "two"])
    assert str(error) == "create failed (task UPID:x); its log ends with:\n    one\n    two"
    assert error.log_tail == ("one", "two")


def test_hint_is_the_last_line_where_the_message_has_several() -> None:
    error = TaskFailed("create failed", upid="UPID:x", log_tail=["one"], hint="Make room")
    assert str(error).splitlines()[1:] == ["    one", "Make room"]
    assert str(TaskFailed("create failed", upid="UPID:x", hint="Make room")) == (
        "create failed (task UPID:x). Make room"
    )


def test_error_of_ours_keeps_what_it_says_and_what_to_do() -> None:
    error = ForeignGuest("lxc/9003 on pve", "it was there before us", hint="Take another id")
    assert error.hint == "Take another id"
    assert str(error) == f"{error.what}. Take another id"


def test_login_that_fails_keeps_the_words_of_who_raised_it() -> None:
    error = AuthFailed("login", "POST /login set no cookie", evidence="200", hint="Name the path")
    assert error.what == "POST /login set no cookie"
    assert str(error).splitlines()[1:] == ["    200", "Name the path"]
