"""Files of an export: written only where something changed, and never over somebody's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from src_app.iac.files import MARK, NotOurs, Written, write

ONE = {"a.tf": f"# {MARK}\nx = 1\n", "sub/b.yml": f"---\n# {MARK}\n"}


def test_a_second_export_writes_nothing(tmp_path: Path) -> None:
    assert write(tmp_path, ONE) == Written(changed=("a.tf", "sub/b.yml"))
    stamps = [(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.*")]
    assert write(tmp_path, ONE) == Written(same=("a.tf", "sub/b.yml"))
    assert [(path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.*")] == stamps


def test_files_that_are_no_longer_made_are_removed(tmp_path: Path) -> None:
    write(tmp_path, ONE)
    assert write(tmp_path, {"a.tf": ONE["a.tf"]}).removed == ("sub/b.yml",)
    assert not (tmp_path / "sub" / "b.yml").exists()


def test_somebodys_own_files_stay(tmp_path: Path) -> None:
    (tmp_path / "terraform.tfvars").write_text("x = 1\n", encoding="utf-8")
    write(tmp_path, ONE)
    write(tmp_path, {})
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["terraform.tfvars"]


def test_a_file_of_ones_own_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.tf").write_text("mine\n", encoding="utf-8")
    with pytest.raises(NotOurs, match="was not made by an export"):
        write(tmp_path, ONE)
    assert (tmp_path / "a.tf").read_text(encoding="utf-8") == "mine\n"
    assert not (tmp_path / "sub").exists()
