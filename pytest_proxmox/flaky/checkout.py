"""Which commit and branch a run tests: from the CI's variables, or from the checkout's files.

Git itself is not asked: starting it takes longer than many a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_COMMITS = ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "BUILD_SOURCEVERSION")
_BRANCHES = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "GIT_BRANCH")
CI_NAMES = {
    "GITHUB_ACTIONS": "GitHub Actions",
    "GITLAB_CI": "GitLab CI",
    "JENKINS_URL": "Jenkins",
    "CI": "CI",
}


class Checkout(NamedTuple):
    """A commit and a branch, empty where they are not known."""

    commit: str = ""
    branch: str = ""


def find(root: Path, environ: Mapping[str, str]) -> Checkout:
    """Return what is being tested."""
    commit = next((environ[name] for name in _COMMITS if environ.get(name)), "")
    branch = next((environ[name] for name in _BRANCHES if environ.get(name)), "")
    if commit:
        return Checkout(commit, branch)
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return _read(folder / ".git")
    return Checkout("", branch)


def _read(git: Path) -> Checkout:
    try:
        if git.is_file():  # a worktree: the file says where its folder is
            git = (git.parent / git.read_text().removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return Checkout(head)
        ref = head.removeprefix("ref: ")
        common = git / "commondir"
        shared = (git / common.read_text().strip()).resolve() if common.is_file() else git
        return Checkout(_resolve(shared, ref), ref.removeprefix("refs/heads/"))
    except OSError:
        return Checkout()


def _resolve(shared: Path, ref: str) -> str:
    loose = shared / ref
    if loose.is_file():
        return loose.read_text().strip()
    packed = shared / "packed-refs"
    for line in packed.read_text().splitlines() if packed.is_file() else ():
        if line.endswith(f" {ref}"):
            return line.partition(" ")[0]
    return ""
