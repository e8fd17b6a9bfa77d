"""What a run tests is read from the CI's variables, else from the files that git keeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_proxmox.flaky.checkout import Checkout, find

COMMIT = "4f" * 20
OLDER = "3e" * 20


def git(root: Path, files: dict[str, str]) -> Path:
    """Write what git keeps in a checkout, and return the checkout."""
    for name, text in files.items():
        path = root / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"HEAD": "ref: refs/heads/a/b\n", "refs/heads/a/b": f"{COMMIT}\n"}, (COMMIT, "a/b")),
        (
            {
                "HEAD": "ref: refs/heads/main\n",
                "packed-refs": f"# pack-refs\n{OLDER} refs/heads/x/main\n{OLDER} "
                f"refs/heads/domain\n{COMMIT} refs/heads/main\n",
            },
            (COMMIT, "main"),
        ),
        ({"HEAD": f"{COMMIT}\n"}, (COMMIT, "")),
        ({"HEAD": "ref: refs/heads/main\n"}, ("", "main")),
        ({"HEAD": "ref: refs/heads/main\n", "packed-refs": "# pack-refs\n"}, ("", "main")),
        ({"description": "HEAD cannot be read\n"}, ("", "")),
    ],
    ids=["branch", "packed", "no branch", "no commit yet", "nothing packed", "no HEAD"],
)
def test_checkout_is_read_from_its_files(
    tmp_path: Path, files: dict[str, str], found: tuple[str, str]
) -> None:
    assert find(git(tmp_path, files), {}) == Checkout(*found)


def test_checkout_is_found_from_a_folder_inside(tmp_path: Path) -> None:
    root = git(tmp_path, {"HEAD": f"{COMMIT}\n"})
    (root / "sub/project").mkdir(parents=True)
    assert find(root / "sub/project", {}) == Checkout(COMMIT)


def test_worktree_has_its_own_head_and_the_refs_of_all(tmp_path: Path) -> None:
    git(tmp_path, {
        "HEAD": "ref: refs/heads/main\n",
        "refs/heads/main": f"{OLDER}\n",
        "refs/heads/side": f"{COMMIT}\n",
        "worktrees/tree/HEAD": "ref: refs/heads/side\n",
        "worktrees/tree/commondir": "../..\n",
    })  # fmt: skip
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: ../.git/worktrees/tree\n")
    assert find(tree, {}) == Checkout(COMMIT, "side")


def test_variables_of_a_ci_come_before_the_files(tmp_path: Path) -> None:
    root = git(tmp_path, {"HEAD": f"{OLDER}\n"})
    said = {"GITHUB_SHA": COMMIT, "GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "main"}
    assert find(root, said) == Checkout(COMMIT, "main")
