"""The file browser in a real browser: list, look, download, zip, delete and undo, on an AWS that enforces its policies."""

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, IncompleteRead
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Download, Locator, Page, Route, expect

from tests.e2e.conftest import serious_findings
from tests.e2e.listing import MANY, Listing, size_of
from tests.e2e.site import Site
from tests.e2e.stored_files import DAY, FILES

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(300)]

BUCKET, GROUP, ANALYSIS = "cohort-e2e-files", "bragg-lab", "diffraction"
PAGE = f"/groups/{GROUP}/files/{ANALYSIS}/"
TYPE_AND_PRESS = """([text, next]) => {
  const [search, pressed] = ["[data-part=search]", next].map((one) => document.querySelector(`#files ${one}`));
  search.focus();
  search.value = text;
  search.dispatchEvent(new Event("input"));
  pressed.focus();
  pressed.click();
}"""
SESSION = """
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from control_plane.accounts.models import User
user = User.objects.get(email='{email}')
session = SessionStore()
session.update({{SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
    HASH_SESSION_KEY: user.get_session_auth_hash()}})
session.save()
print('session=' + session.session_key)
"""


@dataclass
class Lab:
    """Two groups with one analysis: Rosalind is in the first, Maurice in the other."""

    site: Site
    cookies: dict[str, str]

    def keys(self, prefix: str) -> set[str]:
        found = self.site.root("s3").list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/{prefix}").get("Contents", [])
        return {item["Key"].removeprefix(f"{GROUP}/") for item in found}


@pytest.fixture(scope="module")
def lab(site: Site) -> Lab:
    site.must("analysis", "create", ANALYSIS, "--bucket", BUCKET, "--name", "Diffraction")
    site.must("group", "create", GROUP, "--name", "Bragg Lab")
    site.must("group", "create", "wilkins-lab", "--name", "Wilkins Lab")
    site.must("analysis", "grant", ANALYSIS, GROUP)
    site.must("analysis", "grant", ANALYSIS, "wilkins-lab")
    site.must("member", "add", GROUP, "rosalind@example.org", "--create")
    site.must("member", "add", "wilkins-lab", "maurice@example.org", "--create", "--wait")
    site.wait_for_deployments()
    s3 = site.root("s3")
    for key, body in FILES.items():
        s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/{key}", Body=body)
    return Lab(site, {name: session_of(site, f"{name}@example.org") for name in ("rosalind", "maurice")})


def session_of(site: Site, email: str) -> str:
    done = site.manage("shell", "-c", SESSION.format(email=email))
    match = re.search(r"session=(\w+)", done.out)
    assert match, done.err
    return match[1]


@pytest.fixture
def rosalind(page: Page, lab: Lab) -> Page:
    return signed_in(page, lab, "rosalind")


def signed_in(page: Page, lab: Lab, name: str) -> Page:
    page.context.add_cookies([{"name": "sessionid", "value": lab.cookies[name], "url": lab.site.url}])
    return page


def row(page: Page, name: str) -> Locator:
    return page.locator("#files tbody tr", has=page.get_by_role("rowheader", name=name, exact=True))


def go(page: Page, path: str = DAY, more: str = "") -> Page:
    page.goto(f"{PAGE}?path={path}{more}")
    expect(page.locator("#files[data-ready=true]")).to_be_attached()
    expect(page.locator("#files [data-part=count]")).not_to_contain_text("oading")
    return page


def saved(download: Download) -> bytes:
    path = download.path()
    assert download.failure() is None
    return Path(path).read_bytes()


def downloaded(page: Page, button: Locator) -> Download:
    """What pressing the button downloads."""
    with page.expect_download() as found:
        button.click()
    return found.value


def test_folders_lead_to_files_and_the_address_can_be_shared(rosalind: Page, lab: Lab) -> None:
    page = go(rosalind, "")
    expect(page.get_by_role("heading", name="Diffraction: files")).to_be_visible()
    page.get_by_role("link", name="inputs, folder").click()
    page.get_by_role("link", name="day 1, folder").click()
    expect(page.locator("#files [data-part=count]")).to_have_text(re.compile("1 folder, 8 files, .* MB"))
    assert parse_qs(urlsplit(page.url).query)["path"] == [DAY]
    assert page.locator("#files tbody tr").first.get_attribute("data-name") == "deep/"
    expect(page.get_by_text("update.txt")).to_have_count(0)
    page.get_by_role("button", name="Size").click()
    expect(page.locator("#files tbody tr").nth(1)).to_contain_text("recording.bin")
    page.reload()
    expect(page.locator("#files tbody tr").nth(1)).to_contain_text("recording.bin")
    expect(page.get_by_role("columnheader", name="Size")).to_have_attribute("aria-sort", "descending")
    page.go_back()
    page.go_back()
    expect(page.get_by_role("link", name="inputs, folder")).to_be_visible()


def test_searching_finds_in_the_folder_and_below_it(rosalind: Page, lab: Lab) -> None:
    page = go(rosalind, "inputs/")
    page.get_by_label("Search in this folder").fill("TRACE")
    expect(page.get_by_text("Nothing in this folder is called “TRACE”.")).to_be_visible()
    page.get_by_role("button", name="Search in all folders below").click()
    expect(row(page, "day 1/deep/er/trace 1.dat")).to_be_visible()
    expect(page.locator("#files [data-part=count]")).to_contain_text("1 found in 9 files")
    assert parse_qs(urlsplit(page.url).query) == {"path": ["inputs/"], "q": ["TRACE"], "below": ["1"]}
    below, sort = "[data-part=below]", "[data-sort=size] button"
    for text, pressed, count, left in (
        ("", below, "^1 folder,", {"path": ["inputs/"]}),
        ("day", below, "^9 found in ", {"path": ["inputs/"], "q": ["day"], "below": ["1"]}),
        ("", sort, "^9 files,", {"path": ["inputs/"], "below": ["1"], "sort": ["size"], "order": ["down"]}),
    ):
        # Both at once, before the page looks for what was typed.
        page.evaluate(TYPE_AND_PRESS, [text, pressed])
        expect(page.get_by_label("Search in this folder")).to_have_value(text)
        expect(page.locator("#files [data-part=count]")).to_have_text(re.compile(count))
        assert parse_qs(urlsplit(page.url).query) == left


def test_a_file_is_looked_at_and_nothing_of_it_is_run(rosalind: Page, lab: Lab) -> None:
    page = go(rosalind)
    title = page.title()
    panel = page.get_by_role("dialog")
    row(page, "evil.html").get_by_role("button", name="evil.html", exact=True).click()
    expect(panel.locator("pre")).to_have_text("<script>document.title = 'taken over'</script><b>not bold</b>")
    page.keyboard.press("ArrowRight")
    expect(panel.get_by_role("heading")).to_have_text("evil.svg")
    expect(panel.get_by_role("img", name="Content of evil.svg")).to_be_visible()
    page.keyboard.press("ArrowRight")
    picture = panel.get_by_role("img", name="Content of frame.png")
    expect(picture).to_be_visible()
    page.wait_for_function("document.querySelector('#files-preview img').naturalWidth === 128")
    panel.get_by_role("button", name="Next").click()
    expect(panel.locator("pre")).to_have_text('{"threshold": 4.5}')
    panel.get_by_role("button", name="Next").click()
    expect(panel).to_contain_text("There is no preview of this kind of file")
    panel.get_by_role("button", name="Next").click()
    expect(panel.locator("thead th").nth(1)).to_have_text("channel, name")
    expect(panel.locator("tbody tr")).to_have_count(99)
    expect(panel.locator("tbody tr").first.locator("td").nth(1)).to_have_text('a "b"')
    expect(panel).to_contain_text("The first 100 rows")
    assert serious_findings(page) == []
    panel.get_by_role("button", name="Next").click()
    expect(panel.locator("pre")).to_contain_text("Grüße aus dem Labor")
    expect(panel).to_contain_text("The first 64 kB of 110 kB")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(row(page, "Ünï cödé 😀 (1).txt").get_by_role("button").first).to_be_focused()
    row(page, "empty.log").get_by_role("button", name="empty.log", exact=True).click()
    expect(panel).to_contain_text("The file is empty.")
    assert page.title() == title


def test_a_file_that_went_after_it_was_listed_is_said_to_be_gone(rosalind: Page, lab: Lab) -> None:
    s3, key = lab.site.root("s3"), f"{GROUP}/inputs/gone/notes.txt"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"here")
    page = go(rosalind, "inputs/gone/")
    s3.delete_object(Bucket=BUCKET, Key=key)
    row(page, "notes.txt").get_by_role("button", name="notes.txt", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("The file is not there any more.")


def test_a_file_and_a_choice_come_down_byte_for_byte(rosalind: Page, lab: Lab) -> None:
    page = go(rosalind)
    name = "Ünï cödé 😀 (1).txt"
    download = downloaded(page, page.get_by_role("button", name=f"Download {name}"))
    assert download.suggested_filename == name
    assert saved(download) == FILES[DAY + name]
    for item in ("deep", "recording.bin", "empty.log"):
        page.get_by_label(f"Choose {item}", exact=True).check()
    expect(page.get_by_text("3 chosen")).to_be_visible()
    download = downloaded(page, page.locator("[data-part=zip-chosen]"))
    assert download.suggested_filename == "day 1.zip"
    with zipfile.ZipFile(io.BytesIO(saved(download))) as opened:
        got = {entry: hashlib.sha256(opened.read(entry)).hexdigest() for entry in opened.namelist()}
    wanted = {text: hashlib.sha256(FILES[DAY + text]).hexdigest() for text in ("deep/er/trace 1.dat", "recording.bin", "empty.log")}
    assert got == wanted


def test_keys_that_no_browser_can_ask_for_are_the_files_themselves(rosalind: Page, lab: Lab) -> None:
    s3 = lab.site.root("s3")
    content = {"x.txt": b"PLAIN", "./x.txt": b"DOT", "a/../x.txt": b"DOT DOT", "": b"MARKER"}
    for key, body in content.items():
        s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/odd/{key}", Body=body)
    for path, name in (("", "x.txt"), ("./", "x.txt"), ("a/../", "x.txt")):
        page = go(rosalind, f"inputs/odd/{path}")
        row(page, name).get_by_role("button", name=name, exact=True).click()
        preview, wanted = page.get_by_role("dialog"), content[path + name]
        expect(preview.get_by_label("Content")).to_have_text(wanted.decode())
        download = downloaded(page, preview.get_by_role("button", name="Download"))
        assert (download.suggested_filename, saved(download)) == (name, wanted)
    page = go(rosalind, "inputs/odd/")
    expect(page.locator("[data-part=count]")).to_contain_text("2 files")
    marker = "(content of this folder’s marker)"
    download = downloaded(page, page.get_by_role("button", name=f"Download {marker}"))
    assert (download.suggested_filename, saved(download)) == ("odd", b"MARKER")
    page.get_by_label("Choose all on this page").check()
    expect(page.locator("[data-part=chosen-count]")).to_have_text("3 chosen")
    download = downloaded(go(rosalind, "inputs/odd/"), page.get_by_role("button", name="Download all as zip"))
    with zipfile.ZipFile(io.BytesIO(saved(download))) as opened:
        got = {item: opened.read(item) for item in opened.namelist()}
    assert got == {"_ (2)": b"MARKER", "_/x.txt": b"DOT", "a/__/x.txt": b"DOT DOT", "x.txt": b"PLAIN"}


def test_a_whole_folder_comes_as_one_zip(rosalind: Page, lab: Lab) -> None:
    download = downloaded(go(rosalind), rosalind.get_by_role("button", name="Download all as zip"))
    with zipfile.ZipFile(io.BytesIO(saved(download))) as opened:
        assert set(opened.namelist()) == {
            file.removeprefix(DAY) for file in FILES if file.startswith(DAY) and "update.txt" not in file
        }


def test_a_zip_that_loses_a_file_midway_is_a_download_that_failed(rosalind: Page, lab: Lab) -> None:
    page, s3 = go(rosalind), lab.site.root("s3")
    for number in range(4):
        s3.put_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/large/{number}", Body=bytes(20_000_000))
    token = page.locator("[data-part=zip] [name=csrfmiddlewaretoken]").get_attribute("value")
    cookies = "; ".join(f"{cooky['name']}={cooky['value']}" for cooky in page.context.cookies())
    body = urlencode({"csrfmiddlewaretoken": token, "path": "inputs/large/", "keys": '[""]'})
    connection = HTTPConnection("localhost", lab.site.port, timeout=60)
    headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", f"{PAGE}zip/", body, headers)
    answer = connection.getresponse()
    assert answer.status == 200
    assert int(answer.headers["Content-Length"]) > 80_000_000
    answer.read(1_000_000)
    s3.delete_object(Bucket=BUCKET, Key=f"{GROUP}/inputs/large/3")
    with pytest.raises((IncompleteRead, ConnectionError)):
        answer.read()
    connection.close()


def test_what_was_deleted_is_gone_and_comes_back(rosalind: Page, lab: Lab) -> None:
    page, before = go(rosalind), lab.keys(DAY)
    page.get_by_label("Choose deep", exact=True).check()
    page.get_by_label("Choose params.json").check()
    page.get_by_role("button", name="Delete…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Delete 2 files?")
    expect(dialog).to_contain_text("The folder deep/ and all that is below it, and params.json: 2 files, 22 bytes in all.")
    assert serious_findings(page) == []
    dialog.get_by_role("button", name="Delete 2 files").click()
    expect(page.locator("[data-part=undo]")).to_contain_text("2 files deleted.")
    assert serious_findings(page) == []
    expect(row(page, "params.json")).to_have_count(0)
    assert before - lab.keys(DAY) == {f"{DAY}deep/er/trace 1.dat", f"{DAY}params.json"}
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-part=undo]")).to_contain_text("2 files brought back.")
    expect(row(page, "params.json")).to_be_visible()
    assert lab.keys(DAY) == before


def test_another_group_s_member_sees_and_gets_nothing(page: Page, lab: Lab) -> None:
    signed_in(page, lab, "maurice")
    answer = page.goto(PAGE)
    assert answer is not None
    assert answer.status == 404
    go_there = page.goto(f"/groups/wilkins-lab/files/{ANALYSIS}/?path=../{GROUP}/inputs/")
    assert go_there is not None
    assert go_there.status == 200
    expect(page.locator("#files [data-part=table]")).to_be_hidden()
    token = page.locator("[data-part=zip] [name=csrfmiddlewaretoken]").get_attribute("value")
    for what in ("session", "delete", "restore"):
        status = page.evaluate(
            "([to, token]) => fetch(to, {method: 'POST', headers: {'x-csrftoken': token, 'content-type': 'application/json'},"
            " body: JSON.stringify({keys: ['x'], items: [{key: 'x', version: 'x'}]})}).then((answer) => answer.status)",
            [f"/api/files/{GROUP}/{ANALYSIS}/{what}", token],
        )
        assert status == 404
    # The session of the page's own reaches no further than the own group's folder, and ends no version.
    session = page.evaluate(
        "([to, token]) => fetch(to, {method: 'POST', headers: {'x-csrftoken': token}}).then((answer) => answer.json())",
        [f"/api/files/wilkins-lab/{ANALYSIS}/session", token],
    )
    names = {"AccessKeyId": "access_key_id", "SecretAccessKey": "secret_access_key", "SessionToken": "session_token"}
    s3 = lab.site.client("s3", {name: session[own] for name, own in names.items()})
    key = f"{GROUP}/{DAY}params.json"
    version = lab.site.root("s3").head_object(Bucket=BUCKET, Key=key)["VersionId"]
    calls: list[Callable[[], Any]] = [
        lambda: s3.get_object(Bucket=BUCKET, Key=key),
        lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{GROUP}/"),
        lambda: s3.delete_object(Bucket=BUCKET, Key="wilkins-lab/inputs/x"),
        lambda: s3.delete_object(Bucket=BUCKET, Key=key, VersionId=version),
        lambda: s3.put_object(Bucket=BUCKET, Key="wilkins-lab/inputs/x", Body=b""),
    ]
    for call in calls:
        with pytest.raises(s3.exceptions.ClientError, match=r"AccessDenied|403|Forbidden"):
            call()


def test_no_credentials_that_leave_the_server_end_a_version(lab: Lab) -> None:
    s3, key = lab.site.client("s3", lab.site.credentials(GROUP, "rosalind@example.org")), f"{GROUP}/inputs/kept"
    version = s3.put_object(Bucket=BUCKET, Key=key, Body=b"first")["VersionId"]
    marker = s3.delete_object(Bucket=BUCKET, Key=key)["VersionId"]
    for item in (version, marker):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.delete_object(Bucket=BUCKET, Key=key, VersionId=item)
    assert s3.get_object(Bucket=BUCKET, Key=key, VersionId=version)["Body"].read() == b"first"


def test_an_expired_session_is_renewed_and_a_lost_network_is_waited_for(rosalind: Page, lab: Lab) -> None:
    page, answers = rosalind, iter(["expired", "lost", "lost"])
    expired = "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"

    def hinder(route: Route) -> None:
        match next(answers, None):
            case "expired":
                route.fulfill(status=400, body=expired, headers={"access-control-allow-origin": "*"})
            case "lost":
                route.abort()
            case _:
                route.continue_()

    page.route(re.compile("list-type=2"), hinder)
    page.goto(f"{PAGE}?path={DAY}")
    expect(page.locator("#files [data-part=count]")).to_contain_text("S3 does not answer")
    expect(row(page, "params.json")).to_be_visible()


def test_a_hundred_thousand_files_are_listed_sorted_and_searched(rosalind: Page, lab: Lab) -> None:
    page, listing = rosalind, Listing(rosalind)
    count = page.locator("#files [data-part=count]")
    page.goto(f"{PAGE}?path=inputs/many/")
    expect(row(page, "file-000000.dat")).to_be_visible()
    expect(count).to_contain_text("100 files, 39.2 MB so far…")
    assert listing.calls == 1
    listing.go_on()
    expect(count).to_have_text(re.compile("^100,000 files, "), timeout=60_000)
    assert page.locator("#files tbody tr").count() == 100
    page.locator("#files [data-sort=size] button").click()
    expect(row(page, f"file-{max(range(MANY), key=size_of):06d}.dat")).to_be_visible()
    page.locator("#files [data-sort=date] button").click()
    # The 28th of January, of which the first in the list's order.
    expect(row(page, "file-000027.dat")).to_be_visible()
    page.locator("#files [data-sort=name] button").click()
    expect(row(page, "file-000000.dat")).to_be_visible()
    page.locator("#files [data-part=last]").click()
    expect(page.locator("#files [data-part=of]")).to_have_text("of 1,000")
    expect(row(page, "file-099999.dat")).to_be_visible()
    page.get_by_label("Search in this folder").fill("-09999")
    expect(count).to_contain_text("10 found in 100,000 files")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "light"), (390, "dark"), (1280, "dark")])
def test_it_reads_well_wide_and_narrow(browser: Browser, lab: Lab, width: int, scheme: Any, tmp_path: Path) -> None:
    context = browser.new_context(base_url=lab.site.url, viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = go(signed_in(context.new_page(), lab, "rosalind"))
    page.get_by_label("Choose frame.png").check()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert serious_findings(page) == []
    page.screenshot(path=tmp_path / f"files-{width}-{scheme}.png", full_page=True)
    row(page, "spikes.csv").get_by_role("button", name="spikes.csv", exact=True).click()
    expect(page.get_by_role("dialog").locator("table")).to_be_visible()
    page.screenshot(path=tmp_path / f"preview-{width}-{scheme}.png")
    context.close()
