"""An account in a real browser: signing up, a passkey, an authenticator app, and leaving again."""

import email
import re
import time
from collections.abc import Iterator
from email import policy

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.e2e.conftest import serious_findings
from tests.e2e.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(600)]
PASSWORD = "a long enough password"
TELEPHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Page]:
    """A page on a telephone, with a device that holds passkeys. What the policy blocks, or a script's error, fails the test."""
    context = browser.new_context(base_url=site.url, viewport=TELEPHONE)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Content Security Policy" in message.text else None)
    devices = context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options: dict[str, object] = {"isUserVerified": True, "automaticPresenceSimulation": True}
    options |= {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    devices.send(
        "WebAuthn.addVirtualAuthenticator", {"options": options | {"isUserVerified": True, "automaticPresenceSimulation": True}}
    )
    yield page
    context.close()
    assert problems == []


def link_in_mail(site: Site, to: str, word: str) -> str:
    """The link with this word in the newest message to the address."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for path in sorted((site.var / "mail").glob("*"), key=lambda one: one.stat().st_mtime, reverse=True):
            for part in re.split(r"^-{79}$", path.read_text(), flags=re.MULTILINE):
                message = email.message_from_string(part.strip(), policy=policy.default)
                links: list[str] = re.findall(r"https?://\S+", message.get_content()) if message["To"] == to else []
                if links and word in links[0]:
                    return links[0]
        time.sleep(0.1)
    raise AssertionError(f"no message to {to}")


def well(page: Page) -> None:
    """Nothing is serious for axe-core, and nothing is wider than the telephone."""
    assert serious_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= TELEPHONE["width"], page.url


def confirm(page: Page) -> None:
    """Give the password again where it is asked for."""
    if "reauthenticate" in page.url:
        well(page)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()


def test_an_account_from_sign_up_to_its_end(visitor: Page, site: Site) -> None:
    page, address = visitor, "hertha@example.org"

    page.goto("/accounts/login/")
    well(page)
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("E-mail address").fill(address)
    page.get_by_label("Your name").fill("Hertha Ayrton")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Repeat password").fill(PASSWORD)
    expect(page.get_by_label("Join code", exact=True)).to_be_visible()
    expect(page.get_by_label("New group’s name")).to_be_hidden()
    page.get_by_label("I want a new group").check()
    expect(page.get_by_label("Join code", exact=True)).to_be_hidden()
    page.get_by_label("New group’s name").fill("Ayrton Lab")
    well(page)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Confirm your address")).to_be_visible()
    expect(page.get_by_text(f"A message with a link was sent to {address}")).to_be_visible()
    well(page)
    page.goto(link_in_mail(site, address, "confirm-email"))
    well(page)
    page.get_by_role("button", name="Yes, it is mine").click()
    page.wait_for_url(f"{site.url}/")

    page.goto("/accounts/")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    well(page)

    # A passkey, and signing in with it alone.
    page.goto("/accounts/2fa/webauthn/add/")
    confirm(page)
    well(page)
    page.get_by_label("Sign in with it alone").check()
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text("The passkey is added.")).to_be_visible()
    page.goto("/accounts/2fa/webauthn/")
    well(page)
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{site.url}/")

    # An authenticator app, asked for after the password.
    page.goto("/accounts/2fa/totp/activate/")
    confirm(page)
    if "webauthn" in page.url:
        page.get_by_role("button", name="Use a security key").click()
    well(page)
    secret = page.locator("#authenticator_secret").input_value()
    page.get_by_label("Authenticator code").fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    well(page)
    page.goto("/accounts/2fa/")
    well(page)
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    well(page)
    page.get_by_role("button", name="Use a passkey or security key").click()
    page.wait_for_url(f"{site.url}/")
    for path in ("sessions/", "email/", "password/change/", "delete/"):
        page.goto(f"/accounts/{path}")
        well(page)

    # And the end of it.
    page.get_by_label("Type your e-mail address").fill(address)
    page.get_by_role("button", name="Delete my account").click()
    confirm(page)
    expect(page.get_by_role("heading", name="Your account is closed")).to_be_visible()
    well(page)
    page.goto("/accounts/login/")
    page.get_by_label("E-mail address").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("do not go together")).to_be_visible()
