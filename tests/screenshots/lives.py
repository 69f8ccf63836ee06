"""The pages about what happens to groups and people between coming and going."""

import re

from playwright.sync_api import FilePayload, Page, expect

from tests.e2e.conftest import sign_in
from tests.screenshots.cast import GROUP
from tests.screenshots.studio import Studio

SECONDS = 60_000
ROSTER = f"""email,name,group,access,manager,ends_on,action
new.person@example.org,New Person,{GROUP},federated,no,2031-06-30,add
henry@example.org,,{GROUP},,,,
not an address,Nobody,{GROUP},federated,no,,add
someone@example.org,Some One,no-such-group,federated,no,,add
"""


def lives(studio: Studio) -> None:
    """Suspending, last days, keys, the access review, removing, retiring, rosters and quotas."""
    for command in (("review", "look", GROUP), ("keys", "check"), ("quota", "read")):
        studio.site.must(*command)
    with studio.person("mary") as page:
        _as_manager(studio, page)
    with studio.visitor() as page:
        sign_in(page, *studio.site.administrator)
        _as_administrator(studio, page)


def _as_manager(studio: Studio, page: Page) -> None:
    shoot = studio.camera.shoot
    page.goto(f"/groups/{GROUP}/")
    page.get_by_role("link", name=re.compile("^Manage.*henry@")).click()
    shoot(page, "member", "A member, as the group’s manager sees them")
    page.get_by_label("End date (empty: no end)").fill("2031-06-30")
    page.get_by_role("button", name="Set end date").click()
    page.get_by_role("button", name="Suspend").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.goto(page.url)
    shoot(page, "member-suspended", "A member who is suspended, with an end date")
    page.get_by_role("button", name="Resume").click()
    page.goto(f"/groups/{GROUP}/keys/")
    shoot(page, "group-keys", "The keys of a group")
    page.goto(f"/groups/{GROUP}/review/")
    shoot(page, "group-review", "A group’s access review")


def _as_administrator(studio: Studio, page: Page) -> None:
    shoot = studio.camera.shoot
    for path, name, title in (
        ("/review/", "review", "The access review of all groups"),
        ("/review/sign-offs/", "review-signed", "Whose review is due, and what was signed"),
        ("/admin/keys/keyuse/", "keys", "Keys of all groups"),
        ("/quotas/", "quotas", "Quotas of the account"),
        ("/admin/rosters/roster/", "rosters", "Import and export"),
    ):
        page.goto(path)
        shoot(page, name, title)
    page.get_by_role("link", name="Import a CSV file…").click()
    page.locator("input[type=file]").set_input_files(
        files=[FilePayload(name="people.csv", mimeType="text/csv", buffer=ROSTER.encode())]
    )
    shoot(page, "roster-add", "A CSV file is chosen")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("not an address").first).to_be_visible(timeout=SECONDS)
    shoot(page, "roster", "Each row’s fate, before anything is changed")
    page.goto("/admin/accounts/user/leave/?id=2&id=3")
    shoot(page, "people-remove", "Removing people everywhere")
    page.goto("/admin/groups/group/")
    shoot(page, "groups-standing", "Groups, with where they stand")
    page.goto("/admin/groups/group/1/retire/")
    page.wait_for_timeout(3000)
    page.goto("/admin/groups/group/1/retire/")
    shoot(page, "group-retire", "Retiring a group: what goes, and what stays", dark=True)
