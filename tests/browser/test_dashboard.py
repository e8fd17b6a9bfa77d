"""The dashboard in a browser: everybody can read it, and its filters find what they say."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from pytest_proxmox.flaky.connection import Place
from pytest_proxmox.flaky.history import History
from pytest_proxmox.report import bundle
from pytest_proxmox.report.coverage import Covered
from tests.unit.report.histories import fill

MODULES = (Covered("src_app/db", 400, 390), Covered("src_app/web", 200, 90))
HELD = (("lease-1 of 9001", "held", 0), ("lease-2 of 9002", "stuck", 2))
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a dashboard of 250 tests with a bit of everything."""
    folder = tmp_path_factory.mktemp("report")
    with History.open(Place(folder / "h.sqlite")) as history:
        fill(history, tests=250, runs=30)
    figures = bundle.read(Place(folder / "h.sqlite"))
    return bundle.write_figures(figures, folder, modules=MODULES, leases=HELD).as_uri()


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 390)], ids=["light", "dark-on-a-telephone"]
)
def test_axe_finds_no_serious_issue(page: Page, dashboard: str, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(dashboard)
    expect(page.locator("#tests tbody tr")).to_have_count(50)
    violations = Axe().run(page).response["violations"]
    assert [one["id"] for one in violations if one["impact"] in SERIOUS] == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_axe_is_able_to_find_one(page: Page, dashboard: str) -> None:
    page.goto(dashboard)
    page.add_style_tag(content=".hint { color: #eee !important; }")
    violations = Axe().run(page).response["violations"]
    assert "color-contrast" in [one["id"] for one in violations]


def test_a_figure_leads_to_its_tests_and_columns_sort_them(page: Page, dashboard: str) -> None:
    page.goto(dashboard)
    card = page.locator("button.card", has_text="flaky")
    count = card.locator("b").inner_text()
    card.click()
    expect(page.locator("#count")).to_have_text(f"{count} of 250 tests")
    page.get_by_role("button", name="Failures").click()
    shown = page.locator("#tests tbody td:nth-child(5)").all_inner_texts()
    failures = [int(text.partition("/")[0]) for text in shown]
    assert failures == sorted(failures, reverse=True)
    assert len(failures) == int(count)


def test_a_name_finds_its_test_on_any_page(page: Page, dashboard: str) -> None:
    page.goto(dashboard)
    page.get_by_label("Name").fill("test_case_00249")
    expect(page.locator("#tests tbody tr")).to_have_count(1)
    expect(page.locator("#pages")).to_be_hidden()
