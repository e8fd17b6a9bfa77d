"""The manager's pages: one document for all views, its files, and nothing from elsewhere."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from src_app.services.manager import PROCEDURES
from src_app.web.pages import UI, VIEWS, Files
from tests.app.conftest import VMIDS, Caller

pytestmark = [pytest.mark.vmid_range(size=VMIDS)]
ELSEWHERE = re.compile(r"""(?:src|href|from|import|url)\s*[=(]?\s*["'(](?:https?:)?//""")


@pytest.mark.parametrize("path", ["/", *(f"/{view}" for view in VIEWS)])
def test_each_view_is_the_one_document(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    written = (UI / "index.html").read_text(encoding="utf-8")
    assert re.sub(r'="/ui/~\w+/', '="/ui/', page.text) == written
    assert "unsafe-eval" not in page.headers["content-security-policy"]


def test_document_names_files_that_are_there(client: TestClient) -> None:
    named = re.findall(r'(?:src|href)="(/ui/[^"#]+)', client.get("/").text)
    assert named
    assert {client.get(path).status_code for path in named} == {200}


def test_pages_load_nothing_from_elsewhere() -> None:
    files = [path for path in UI.rglob("*") if path.suffix in (".js", ".css", ".html")]
    assert len(files) > 20
    assert [str(path) for path in files if ELSEWHERE.search(path.read_text("utf-8"))] == []


def test_each_module_finds_what_it_imports() -> None:
    imports = [(path, name) for path in UI.rglob("*.js") for name in imported(path)]
    assert len(imports) > 60
    assert [(str(path), str(name)) for path, name in imports if not name.is_file()] == []


def imported(module: Path) -> list[Path]:
    """Return the modules that a module names in its imports."""
    names = re.findall(r'\b(?:from|import)\s*\(?\s*"(\.[^"]+)"', module.read_text("utf-8"))
    return [(module.parent / name).resolve() for name in names]


def test_document_preloads_each_module_that_its_script_reaches() -> None:
    document = (UI / "index.html").read_text(encoding="utf-8")
    preloaded = re.findall(r'<link rel="modulepreload" href="/ui/([^"]+)"', document)
    script = re.findall(r'<script type="module" src="/ui/([^"]+)"', document)
    reached: set[Path] = set()
    waiting = [(UI / name).resolve() for name in script]
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += imported(module)
    assert len(script) == 1
    assert sorted(preloaded) == sorted(str(path.relative_to(UI.resolve())) for path in reached)


def test_files_of_the_present_version_are_kept_for_good(client: TestClient) -> None:
    named = re.findall(r'(?:src|href)="(/ui/[^"#]+)', client.get("/").text)
    caching = {client.get(path).headers["cache-control"] for path in named}
    assert caching == {"public, max-age=31536000, immutable"}


def test_files_of_another_version_are_not_kept(client: TestClient) -> None:
    answer = client.get("/ui/~0123456789abcdef/app.css")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")
    assert answer.content == (UI / "app.css").read_bytes()


def test_edited_file_has_another_version_at_the_next_load(tmp_path: Path) -> None:
    folder = tmp_path / "ui"
    shutil.copytree(UI, folder)
    files = Files(folder)
    app = Starlette(routes=[Route("/", files.document), Route("/ui/{path:path}", _file_of(files))])
    with TestClient(app) as browser:
        first = stylesheet(browser)
        (folder / "app.css").write_text("body { color: red; }", encoding="utf-8")
        second = stylesheet(browser)
        assert first != second
        assert browser.get(second).text == "body { color: red; }"
        assert browser.get(first).headers["cache-control"] == "no-cache"


def stylesheet(browser: TestClient) -> str:
    """Return the address of the style sheet, as the document names it now."""
    found = re.search(r'rel="stylesheet" href="([^"]+)"', browser.get("/").text)
    assert found is not None
    return found[1]


def _file_of(files: Files) -> Callable[[Request], Response]:
    return lambda request: files.file(request, request.path_params["path"])


@pytest.mark.parametrize(
    "path", ["/ui/", "/ui/js", "/ui/none.js", "/ui/../pages.py", "/ui/%2e%2e/pages.py", "/ui/~x"]
)
def test_what_is_no_file_of_the_page_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_files_are_asked_for_anew_and_not_sent_again(client: TestClient) -> None:
    first = client.get("/ui/app.css")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/ui/app.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_person_who_is_lost_gets_a_page_and_a_program_a_problem(client: TestClient) -> None:
    page = client.get("/attic", headers={"Accept": "text/html"})
    assert page.status_code == 404
    assert "<!doctype html>" in page.text
    for path, accept in (("/attic", "*/*"), ("/api/v1/attic", "text/html")):
        answer = client.get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_operation_names_its_steps(owner: Caller) -> None:
    accepted = owner.post("/apps/deploy", catalog_id="nginx", hostname="site")
    operation = owner.done(accepted)
    assert operation["steps"] == [step.title for step in PROCEDURES["deploy"].steps]
    assert [step for step in operation["steps"] if step not in "\n".join(operation["log"])] == []


def test_apps_show_the_newest_version_of_the_catalog(owner: Caller) -> None:
    made = owner.deploy("nginx", "site", version="1.0")
    assert (made["version"], made["latest_version"]) == ("1.0", "2.0")
    assert owner.get("/apps")["apps"][0]["latest_version"] == "2.0"


def test_mode_is_told_to_users(admin: Caller, owner: Caller) -> None:
    assert owner.get("/system/info")["mode"] == "pro"
    admin.call("PUT", "/settings", json={"values": {"mode": "auto"}})
    assert owner.get("/system/info")["mode"] == "auto"


def test_settings_decide_where_a_container_goes(admin: Caller, owner: Caller, proxmox: Any) -> None:
    admin.call("PUT", "/settings", json={"values": {"storage": "local-lvm", "pool": "apps"}})
    proxmox.pools.post(poolid="apps")
    app = owner.deploy()
    config = proxmox.nodes(app["node"]).lxc(app["vmid"]).config.get()
    assert config["rootfs"].startswith("local-lvm:")
    members = proxmox.pools("apps").get()["members"]
    assert [member["vmid"] for member in members] == [app["vmid"]]


@pytest.mark.parametrize("value", ["two words", "../etc", "name,ip=dhcp", "-x"])
def test_setting_that_is_no_name_is_refused(admin: Caller, value: str) -> None:
    answer = admin.call("PUT", "/settings", 422, json={"values": {"bridge": value}})
    assert "bridge" in answer["fields"]
