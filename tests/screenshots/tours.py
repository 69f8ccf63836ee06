"""The ways that people go through the site, with a picture of each page on them."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.e2e.conftest import sign_in
from tests.e2e.uploading import choose, send
from tests.screenshots.cast import BUCKET, CLASHING, CREDENTIALS_PAGE, FILES_PAGE, GROUP, PASSWORD
from tests.screenshots.circle import circle
from tests.screenshots.lives import lives
from tests.screenshots.studio import Studio, one_time_code

SECONDS = 60_000
MIB = 2**20


def signing_up(studio: Studio) -> None:
    """A new person: sign-up, the e-mail, waiting, being let in."""
    shoot, address = studio.camera.shoot, "thea@example.org"
    with studio.visitor() as page:
        page.goto("/accounts/login/")
        shoot(page, "sign-in", "Sign in", dark=True)
        page.get_by_label("E-mail address").fill(address)
        page.get_by_label("Password").fill("guessed")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert").first).to_be_visible()
        shoot(page, "sign-in-refused", "Sign in, refused")
        page.goto("/accounts/signup/")
        shoot(page, "sign-up", "Sign up with a join code")
        page.get_by_label("I want a new group").check()
        shoot(page, "sign-up-new-group", "Sign up for a new group")
        page.get_by_label("I have a join code").check()
        page.get_by_label("Join code", exact=True).fill("ABCD-EFGH-ABCD-EFGH-ABCD-EFGH")
        page.get_by_role("button", name="Sign up").click()
        shoot(page, "sign-up-refused", "Sign up with mistakes")
        page.get_by_label("E-mail address").fill(address)
        page.get_by_label("Your name").fill("Thea Koch")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Repeat password").fill(PASSWORD)
        page.get_by_label("Join code", exact=True).fill(studio.code)
        page.get_by_role("button", name="Sign up").click()
        expect(page.get_by_role("heading", name="Confirm your address")).to_be_visible()
        shoot(page, "check-your-mail", "After signing up: look into your mailbox")
        page.goto(studio.link_in_mail(address, "confirm-email"))
        shoot(page, "confirm-address", "The link in the e-mail")
        page.get_by_role("button", name="Yes, it is mine").click()
        page.wait_for_url(f"{studio.site.url}/")
        shoot(page, "home-waiting", "Home: verified, and waiting for the group’s manager", dark=True)
        _being_let_in(studio, page)


def _being_let_in(studio: Studio, page: Page) -> None:
    shoot = studio.camera.shoot
    with studio.person("mary") as manager:
        manager.goto("/")
        shoot(manager, "home-manager", "A manager’s home: people ask to join")
        manager.goto("/requests/")
        shoot(manager, "requests", "The requests that wait for a manager", dark=True)
        manager.goto(f"/groups/{GROUP}/")
        shoot(manager, "group-manager", "A group, as its manager sees it", dark=True)
        manager.goto(studio.link_in_mail("mary@example.org", "/requests/link/"))
        shoot(manager, "request-link", "The link in the e-mail to managers")
        # A key takes AWS longer, so that there is something to see.
        manager.get_by_label("Access method").select_option("keys")
        with studio.site.held("AWS::IAM::AccessKey"):
            manager.get_by_role("button", name="Approve").click()
            expect(page.locator("[aria-current=step]")).to_contain_text("Access made on AWS", timeout=SECONDS)
            expect(page.get_by_text(re.compile("of . resources"))).to_be_visible(timeout=SECONDS)
            shoot(page, "home-being-made", "Home: access is being made, live")
        expect(page.get_by_role("link", name="Open Anning Lab")).to_be_visible(timeout=SECONDS)
        shoot(page, "home-ready", "Home: the access is there")
        page.goto(f"/groups/{GROUP}/leave/")
        shoot(page, "group-leave", "Leaving a group")
        manager.goto(f"/groups/{GROUP}/")
        manager.get_by_role("link", name="Remove henry@example.org").click()
        shoot(manager, "group-remove", "Removing a member")
        manager.goto(f"/groups/{GROUP}/")
        manager.get_by_role("button", name="Make a join code").click()
        expect(manager.locator("#code")).to_be_visible()
        shoot(manager, "join-code", "A join code, shown once")


def homes(studio: Studio) -> None:
    """Home and group of people who stand at other places."""
    shoot = studio.camera.shoot
    for name, page_name, title in (
        ("thomas", "home-no-group", "Home of somebody in no group"),
        ("louise", "home-new-group", "Home: waiting for an administrator to make a new group"),
        ("gideon", "home-declined", "Home: the request was declined"),
        ("rachel", "home-failed", "Home: AWS could not make the access"),
    ):
        with studio.person(name) as page:
            page.goto("/")
            shoot(page, page_name, title)
    with studio.person("elizabeth") as page:
        page.goto("/")
        shoot(page, "home", "A member’s home", dark=True)
        page.goto(f"/groups/{GROUP}/")
        shoot(page, "group", "A group, as a member sees it")


def password(studio: Studio) -> None:
    """A password that was forgotten."""
    shoot, address = studio.camera.shoot, "william@example.org"
    with studio.visitor() as page:
        page.goto("/accounts/password/reset/")
        shoot(page, "password-reset", "Asking for a new password")
        page.get_by_label("E-mail address").fill(address)
        page.locator("main form button").first.click()
        page.wait_for_url("**/done/")
        shoot(page, "password-reset-sent", "The message about the password is on its way")
        page.goto(studio.link_in_mail(address, "password/reset/key"))
        shoot(page, "password-reset-new", "The link in the message: a new password")
        for field in page.locator("input[type=password]").all():
            field.fill(f"{PASSWORD} again")
        page.locator("main form button").first.click()
        page.wait_for_load_state()
        shoot(page, "password-reset-done", "The new password is set")


def account(studio: Studio) -> None:
    """One's own account: name, second factors, sessions, and its end."""
    shoot = studio.camera.shoot
    with studio.visitor() as page:
        _add_authenticator(page)
        sign_in(page, "henry@example.org", PASSWORD)
        page.goto("/accounts/profile/")
        shoot(page, "account", "One’s account")
        page.goto("/accounts/2fa/")
        shoot(page, "second-factors-none", "Second factors: none yet")
        page.goto("/accounts/2fa/webauthn/add/")
        _confirm(studio, page)
        shoot(page, "passkey-add", "Adding a passkey")
        page.get_by_label("Sign in with it alone").check()
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("The passkey is added.")).to_be_visible()
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
        shoot(page, "recovery-codes", "The passkey is added; recovery codes, shown once")
        page.goto("/accounts/2fa/webauthn/")
        shoot(page, "passkeys", "One’s passkeys")
        page.goto("/accounts/2fa/totp/activate/")
        _confirm(studio, page)
        shoot(page, "authenticator-app", "Setting up an authenticator app")
        secret = page.locator("#authenticator_secret").input_value()
        page.get_by_label("Authenticator code").fill(one_time_code(secret))
        page.get_by_role("button", name="Set it up").click()
        expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
        shoot(page, "second-factors", "Second factors, in use")
        for path, name, title in (
            ("sessions/", "sessions", "Browsers and computers that are signed in"),
            ("email/", "change-address", "Changing the address"),
            ("password/change/", "change-password", "Changing the password"),
            ("delete/", "delete-account", "Deleting one’s account"),
        ):
            page.goto(f"/accounts/{path}")
            shoot(page, name, title)
        page.context.clear_cookies()
        page.goto("/accounts/login/")
        page.get_by_label("E-mail address").fill("henry@example.org")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Second step")).to_be_visible()
        shoot(page, "second-step", "Signing in: the second step")


def _add_authenticator(page: Page) -> None:
    """The browser's device holds passkeys."""
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    devices.send(
        "WebAuthn.addVirtualAuthenticator", {"options": options | {"isUserVerified": True, "automaticPresenceSimulation": True}}
    )


def _confirm(studio: Studio, page: Page) -> None:
    """Prove once more who it is, where that is asked for."""
    path = urlsplit(page.url).path
    if "reauthenticate" not in path:
        return
    if "webauthn" in path:
        page.get_by_role("button", name="Use a security key").click()
    else:
        if "password-again" not in studio.camera.titles:
            studio.camera.shoot(page, "password-again", "The password once more, before something dear")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()
    # What was to be done is then done at this same address.
    expect(page.get_by_role("heading", name="Is it you?")).to_have_count(0)


def own_computer(studio: Studio) -> None:
    """Use from one's own computer: commands, a computer's sign-in, credentials, a key."""
    shoot = studio.camera.shoot
    with studio.visitor() as page:
        sign_in(page, "charlotte@example.org", PASSWORD)
        page.goto(CREDENTIALS_PAGE)
        shoot(page, "credentials", "Use from your own computer", dark=True)
        page.goto("/identity/o/device")
        shoot(page, "device-code", "A computer’s sign-in: the code")
        asked = page.request.post(
            "/identity/o/api/device/code",
            form={"client_id": "cohort-cli", "scope": "credentials", "device_name": "mill-pc (Linux)"},
        )
        page.goto(f"/identity/o/device?code={asked.json()['user_code']}")
        shoot(page, "device-confirm", "A computer’s sign-in: yes or no")
        page.get_by_role("button", name="Yes, sign it in").click()
        shoot(page, "device-done", "A computer’s sign-in: done")
        page.goto(CREDENTIALS_PAGE)
        page.get_by_role("button", name=re.compile("Show credentials for")).click()
        shoot(page, "credentials-session", "Short-lived credentials, shown once")
        page.goto(CREDENTIALS_PAGE)
        expect(page.get_by_role("button", name="Show my key once")).to_be_visible(timeout=SECONDS)
        page.get_by_role("button", name="Show my key once").click()
        _confirm(studio, page)
        if page.locator("#profile").count() == 0:
            page.get_by_role("button", name="Show my key once").click()
        expect(page.locator("#profile")).to_be_visible()
        shoot(page, "credentials-key", "One’s access key, shown once")


def _open_files(page: Page, path: str = "", address: str = FILES_PAGE) -> None:
    page.goto(f"{address}?path={path}")
    expect(page.locator("#files[data-ready=true]")).to_be_attached()
    expect(page.locator("#files [data-part=count]")).not_to_contain_text("oading")


def files(studio: Studio) -> None:
    """The file browser."""
    shoot = studio.camera.shoot
    with studio.person("elizabeth") as page:
        _open_files(page, address=f"/groups/{GROUP}/files/bone-counts/")
        shoot(page, "files-empty", "Upload and files, nothing there yet")
        _open_files(page, "inputs/2026-05 Lyme Regis/")
        page.locator("#upload[data-ready]").wait_for()
        shoot(page, "files", "Upload and files", dark=True)
        page.get_by_label("Choose notes.txt").check()
        page.get_by_label("Choose slices", exact=True).check()
        shoot(page, "files-chosen", "Files, some of them chosen")
        page.get_by_role("button", name="Delete…").click()
        expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text("Delete 3 files?")
        shoot(page, "files-delete", "Deleting files: the question")
        page.get_by_role("button", name="Delete 3 files").click()
        expect(page.locator("[data-part=undo]")).to_contain_text("3 files deleted.")
        shoot(page, "files-deleted", "Files are deleted, and can be brought back")
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("[data-part=undo]")).to_contain_text("brought back", timeout=SECONDS)
        _open_files(page, "inputs/2026-05 Lyme Regis/")
        for file, name, title in (
            ("vertebrae.csv", "preview-table", "A table, looked at"),
            ("ammonite, étage 3.png", "preview-image", "A picture, looked at"),
        ):
            page.get_by_role("button", name=file, exact=True).click()
            expect(page.locator("#files-preview [data-part=content] > *").first).to_be_visible()
            page.wait_for_timeout(500)
            shoot(page, name, title)
            page.keyboard.press("Escape")
        page.get_by_label("Search in this folder").fill("iguanodon")
        expect(page.locator("#files [data-part=none]")).to_be_visible()
        shoot(page, "files-search", "A search that finds nothing")
        _open_files(page, address=f"/groups/{GROUP}/files/museum-collection/")
        shoot(page, "files-read-only", "Files that a group may only read")


def uploading(studio: Studio) -> None:
    """Sending files, on good days and bad ones."""
    shoot, faults = studio.camera.shoot, studio.site.faults
    with studio.person("henry") as page, tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        large = _sized(folder / "scan 03.tiff", 320 * MIB)
        small = _sized(folder / "field book.txt", 4000)
        page.goto(FILES_PAGE)
        page.locator("#upload[data-ready]").wait_for()
        choose(page, large, small)
        shoot(page, "upload-chosen", "Upload: files are chosen")
        faults.add("delay", action="UploadPart", seconds=6.0)
        send(page)
        page.wait_for_timeout(7000)
        shoot(page, "upload-sending", "Upload: under way", dark=True)
        page.locator(".uppy-StatusBar-actionCircleBtn[title=Pause]").click()
        page.wait_for_timeout(300)
        page.goto("/")
        expect(page.get_by_role("heading", name="Your unfinished uploads")).to_be_visible()
        shoot(page, "home-unfinished", "Home: an upload is unfinished")
        faults.clear()
        page.goto(FILES_PAGE)
        expect(page.locator("#upload-unfinished tr").filter(has_text="scan 03")).to_contain_text("is there", timeout=SECONDS)
        shoot(page, "upload-unfinished", "Upload: an unfinished file, from any device")
        _troubled_upload(studio, page, folder)


def _troubled_upload(studio: Studio, page: Page, folder: Path) -> None:
    shoot, faults = studio.camera.shoot, studio.site.faults
    asked = [_sized(folder / name, 5000) for name in ("site plan.pdf", "tides.csv")]
    for file in asked:
        studio.site.root("s3").put_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/{file.name}", Body=b"an older one")
    faults.add("denied", action="UploadPart")
    choose(page, *asked, _sized(folder / "scan 04.tiff", 20 * MIB))
    send(page)
    expect(page.locator("#upload-notes li")).to_have_count(3, timeout=SECONDS)
    shoot(page, "upload-asks", "Upload: files of these names are there, and one file was refused")
    faults.clear()
    page.get_by_role("button", name="Keep all that are there").click()
    page.get_by_role("button", name="Try again: ").click()
    expect(page.locator(".uppy-StatusBar.is-complete")).to_be_visible(timeout=SECONDS)
    expect(page.locator("#upload-unfinished")).not_to_contain_text("scan 04", timeout=SECONDS)
    shoot(page, "upload-complete", "Upload: everything is there")


def _sized(path: Path, size: int) -> Path:
    with path.open("wb") as opened:
        opened.truncate(size)
    return path


def refusals(studio: Studio) -> None:
    """Pages that say no."""
    shoot = studio.camera.shoot
    with studio.person("elizabeth") as page:
        page.goto("/deployments/")
        shoot(page, "forbidden", "A page for others")
        page.goto("/groups/no-such-lab/")
        shoot(page, "not-found", "No such page")
    with studio.visitor() as page:
        page.goto("/accounts/password/reset/")
        for _ in range(7):
            page.goto("/accounts/password/reset/")
            page.get_by_label("E-mail address").fill("nobody@example.org")
            page.locator("main form button").first.click()
            page.wait_for_load_state()
            if page.get_by_role("heading", name="Too many tries").count():
                break
        shoot(page, "too-many-tries", "Too many tries")


def administration(studio: Studio) -> None:
    """What administrators see."""
    shoot = studio.camera.shoot
    failed = next(deployment["id"] for deployment in studio.site.must("deployment", "list") if deployment["state"] == "failed")
    done = next(deployment["id"] for deployment in studio.site.must("deployment", "list") if deployment["state"] == "succeeded")
    with studio.visitor() as page:
        sign_in(page, *studio.site.administrator)
        for path, name, title, dark in (
            ("/", "home-administrator", "An administrator’s home", False),
            ("/requests/", "requests-administrator", "All requests, with one for a new group", False),
            (f"/groups/{GROUP}/", "group-administrator", "A group, as administrators see it", False),
            ("/admin/accounts/user/", "people", "People", True),
            ("/admin/accounts/user/?q=nobody-at-all", "people-none", "People: nobody found", False),
            ("/admin/accounts/user/add-to-group/?id=1", "people-add", "Adding people to a group", False),
            ("/admin/groups/group/", "groups", "Groups", False),
            ("/admin/audit/auditevent/", "audit", "The audit trail", False),
            ("/deployments/", "deployments", "Deployments", True),
            (f"/deployments/{failed}/", "deployment-failed", "A deployment that failed", False),
            (f"/deployments/{done}/", "deployment", "A deployment that worked", False),
            ("/deployments/retry/", "deployments-retry", "Trying again what failed", False),
            ("/deployments/stacks/", "stacks", "What AWS holds", False),
            (f"/deployments/stacks/Group-{CLASHING}/", "stack", "One stack", False),
            ("/health/", "health", "The site’s health", True),
        ):
            page.goto(path)
            shoot(page, name, title, dark=dark)


Tour = Callable[[Studio], None]
TOURS: dict[str, Tour] = {
    tour.__name__: tour
    for tour in (signing_up, homes, password, account, own_computer, files, uploading, administration, lives, circle, refusals)
}
