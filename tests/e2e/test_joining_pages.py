"""A new person's way in: sign-up with a code, the manager's approval by the e-mail's link, and the waiting room meanwhile."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import serious_findings, sign_in
from tests.e2e.mail import link_in_mail
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]

LAB, MANAGER, LISE = "meitner-lab", "manager@example.org", "lise@example.org"
PASSWORD = "nuclear-fission-1938"
DEPLOYED = 60_000
WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def lab(site: Site) -> str:
    """A group with a manager, a plain member and an analysis."""
    site.must("analysis", "create", "spectra", "--bucket", "cohort-spectra", "--name", "Spectra")
    site.must("group", "create", LAB, "--name", "Meitner Lab")
    site.must("analysis", "grant", "spectra", LAB)
    site.must("group", "keys", LAB, "allow")
    site.must("member", "add", LAB, MANAGER, "--create", "--manager")
    site.must("member", "add", LAB, "otto@example.org", "--create", "--access", "keys")
    find = f"from control_plane.accounts.models import User; user = User.objects.get(email={MANAGER!r})"
    script = f"{find}; user.set_password({PASSWORD!r}); user.save()"
    assert site.manage("shell", "-c", script).status == 0
    site.wait_for_deployments()
    return LAB


@pytest.fixture
def inspected(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Page, str], None]:
    """Look at a page at both widths: no serious finding, nothing wider than the window; a picture for who wants to see."""

    def inspect(page: Page, name: str) -> None:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert serious_findings(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than {width}"
            page.screenshot(path=tmp_path / f"{name}-{width}.png", full_page=True)
        page.set_viewport_size({"width": 1280, "height": 900})

    return inspect


def test_from_sign_up_to_being_in(
    page: Page, browser: Browser, site: Site, lab: str, inspected: Callable[[Page, str], None]
) -> None:
    code = site.must("joincode", "create", lab)["code"]
    page.goto("/accounts/signup/")
    page.get_by_label("E-mail").fill(LISE)
    page.get_by_label("Your name").fill("Lise Meitner")
    for field in page.locator("input[type=password]").all():
        field.fill(PASSWORD)
    page.get_by_label("I have a join code").check()
    page.get_by_label("Join code", exact=True).fill(code.lower())
    page.get_by_role("button", name="Sign up").click()
    page.wait_for_load_state()
    page.goto(link_in_mail(site, LISE, "onfirm"))
    page.locator("main form button[type=submit], main form button:not([type])").first.click()
    page.wait_for_load_state()
    if "/login" in page.url:
        sign_in(page, LISE, PASSWORD)
    page.goto("/")
    expect(page.locator("[aria-current=step]")).to_contain_text("Waiting for manager")
    inspected(page, "waiting-room")

    context = browser.new_context(base_url=site.url, viewport={"width": 1280, "height": 900})
    other = context.new_page()
    sign_in(other, MANAGER, PASSWORD)
    inspected(other, "home-of-manager")
    other.goto("/requests/")
    inspected(other, "requests")
    other.goto(f"/groups/{lab}/")
    expect(other.get_by_role("heading", name="lise@example.org")).to_be_visible()
    inspected(other, "group-of-manager")
    other.goto(link_in_mail(site, MANAGER, "asks to join"))
    inspected(other, "decision-link")
    other.get_by_label("Access method").select_option("keys")
    with site.held():
        other.get_by_role("button", name="Approve").click()
        expect(other.get_by_text("Giving lise@example.org access to Meitner Lab has started.")).to_be_visible()
        # The waiting room follows by itself.
        page.evaluate("window.notReloaded = true")
        expect(page.locator("[aria-current=step]")).to_contain_text("Access made on AWS", timeout=DEPLOYED)
        inspected(page, "being-made")
    expect(page.get_by_role("link", name="Open Meitner Lab")).to_be_visible(timeout=DEPLOYED)
    assert page.evaluate("window.notReloaded")
    inspected(page, "ready")
    assert link_in_mail(site, LISE, "You are in").endswith(f"/groups/{lab}/")
    page.goto(f"/groups/{lab}/leave/")
    inspected(page, "leave")
    page.goto(f"/groups/{lab}/")
    inspected(page, "group-of-member")

    other.goto(f"/groups/{lab}/")
    other.get_by_role("link", name="Remove otto@example.org").click()
    inspected(other, "remove")
    other.goto(f"/groups/{lab}/")
    other.get_by_role("button", name="Make a join code").click()
    expect(other.locator("#code")).to_have_text(re.compile("^([A-Z2-7]{4}-){5}[A-Z2-7]{4}$"))
    inspected(other, "code")
    context.close()
