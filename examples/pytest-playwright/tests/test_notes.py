"""Tests as pytest-playwright's documentation writes them: they know nothing of pytest-proxmox."""

from playwright.sync_api import Page, expect


def test_note_is_shown(page: Page):
    page.goto("/notes.html")
    page.get_by_label("Note").fill("milk")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_role("listitem")).to_have_text(["milk"])


def test_note_survives_a_reload(page: Page):
    page.goto("/notes.html")
    page.get_by_label("Note").fill("bread")
    page.keyboard.press("Enter")
    page.reload()
    expect(page.get_by_role("listitem")).to_have_text(["bread"])


def test_notes_of_another_visitor_are_not_shown(page: Page, new_context):
    page.goto("/notes.html")
    page.get_by_label("Note").fill("private")
    page.keyboard.press("Enter")
    visitor = new_context().new_page()
    visitor.goto("/notes.html")
    expect(visitor.get_by_role("listitem")).to_have_count(0)
