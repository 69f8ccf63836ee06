"""The upload page in a real browser, on good days and bad ones: what arrives is right, and what is wrong is said."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from tests.e2e.conftest import serious_findings, sign_in
from tests.e2e.site import Site
from tests.e2e.uploading import (
    PASSWORD,
    accounted,
    choose,
    context_with_faults,
    drop,
    hash_at_s3,
    hash_of,
    keys_at_s3,
    make,
    new_context,
    note,
    open_page,
    press_on,
    send,
    send_until,
    wait_until_complete,
    watched_page,
)
from tests.faults import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(600)]

GROUP, BUCKET = "upload-lab", "cohort-e2e-upload"
ADDRESS = f"/groups/{GROUP}/files/uploading/"
EMAIL = "uploader@example.org"
INPUTS = f"{GROUP}/inputs"
MIB = 2**20


@pytest.fixture(scope="module")
def lab(site: Site) -> Site:
    site.must("analysis", "create", "uploading", "--bucket", BUCKET, "--name", "Uploading")
    site.must("group", "create", GROUP, "--name", "Upload Lab")
    site.must("analysis", "grant", "uploading", GROUP)
    site.must("member", "add", GROUP, EMAIL, "--create", "--wait")
    site.wait_for_deployments()
    site.set_password(EMAIL, PASSWORD)
    return site


@pytest.fixture
def context(browser: Browser, lab: Site) -> Iterator[BrowserContext]:
    yield from context_with_faults(browser, lab)


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    yield from watched_page(context, EMAIL, ADDRESS)


def test_a_folder_arrives_as_it_is_and_is_not_sent_twice(lab: Site, page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "session 5"
    files = [
        make(folder / "video.avi", 40 * MIB),
        make(folder / "Ünïcode ☃ + & # % name.csv", 1234),
        make(folder / "day 1/notes (v2).txt", 10),
        make(folder / "day 1/empty.txt", 0),
        make(folder / "day 1/back\\slash.txt", 7),
        # Names of the same size and time that differ in case alone.
        *(make(folder / name / "settings.xml", 4) for name in ("Mouse1", "mouse1")),
        make(folder / "mouse1/Settings.xml", 4),
    ]
    for file in files:
        os.utime(file, (1_700_000_000, 1_700_000_000))
    # Whatever Uppy itself says, of each file and of all of them.
    page.evaluate(
        "document.seen = []; new MutationObserver(() => document.seen.push(document.querySelector('#upload-drop').textContent))"
        ".observe(document.querySelector('#upload-drop'), {childList: true, characterData: true, subtree: true})"
    )
    choose(page, folder)
    expect(page.locator(".uppy-Dashboard-Item", has_text="video.avi").locator(".uppy-Dashboard-Item-statusSize")).to_have_text(
        "41.9 MB"
    )
    send(page)
    wait_until_complete(page)
    accounted(page, sent=len(files))
    said = "\n".join(page.evaluate("document.seen"))
    assert " of 41.9 MB" in said
    assert not re.search(r"\b40(\.0)? MB|\bKB\b", said)
    for file in files:
        assert hash_at_s3(lab, BUCKET, f"{INPUTS}/{file.relative_to(tmp_path)}") == hash_of(file)
    assert serious_findings(page) == []

    counts = lab.faults.counts.copy()
    page.reload()
    page.locator("#upload[data-ready]").wait_for()
    choose(page, folder)
    send(page)
    wait_until_complete(page)
    accounted(page, skipped=len(files))
    assert lab.faults.counts["UploadPart"] == counts["UploadPart"]
    assert len(keys_at_s3(lab, BUCKET, f"{INPUTS}/session 5/")) == len(files)


def test_the_same_file_is_sent_to_another_folder_and_again_after_it_was_deleted(lab: Site, page: Page, tmp_path: Path) -> None:
    file, s3 = make(tmp_path / "template.csv", 50), lab.root("s3")
    for sent, day in enumerate(("dayC", "dayD"), start=1):
        page.locator("#upload-folder").fill(f"inputs/{day}/")
        choose(page, file)
        send(page)
        accounted(page, sent=sent)
        assert hash_at_s3(lab, BUCKET, f"{INPUTS}/{day}/template.csv") == hash_of(file)
    s3.delete_object(Bucket=BUCKET, Key=f"{INPUTS}/dayD/template.csv")
    choose(page, file)
    # It was chosen for this folder. Another one may be set before it is sent.
    page.locator("#upload-folder").fill("inputs/dayE/")
    page.get_by_role("button", name="Send to inputs/dayE/ instead").click()
    page.locator("#upload-folder").fill("inputs/dayD/")
    choose(page, file)
    send(page)
    accounted(page, sent=4)
    for day in ("dayD", "dayE"):
        assert hash_at_s3(lab, BUCKET, f"{INPUTS}/{day}/template.csv") == hash_of(file)


def test_what_cannot_be_read_in_a_dropped_folder_is_named_and_the_others_are_sent(lab: Site, page: Page, tmp_path: Path) -> None:
    expect(page.locator("#upload-hidden")).to_contain_text("symbolic links and files whose names are not UTF-8")
    files = [make(tmp_path / "dropped" / name, 10) for name in ("a.txt", "sub/b.txt", "z\\z.txt")]
    Path(os.fsdecode(bytes(tmp_path / "dropped") + b"/bad-\xff.txt")).write_text("x")
    drop(page, tmp_path / "dropped")
    send(page)
    wait_until_complete(page)
    accounted(page, sent=len(files), unreadable=1)
    expect(page.locator("[data-account=unreadable]")).to_contain_text("dropped/(a name that the browser cannot read)")
    for file in files:
        assert hash_at_s3(lab, BUCKET, f"{INPUTS}/{file.relative_to(tmp_path)}") == hash_of(file)
    assert serious_findings(page) == []


def test_many_small_files_are_confirmed_by_what_s3_lists(lab: Site, page: Page, tmp_path: Path) -> None:
    files = [make(tmp_path / f"many/trace {number:02}.csv", 1000 + number) for number in range(60)]
    choose(page, tmp_path / "many")
    send(page)
    wait_until_complete(page)
    for file in files:
        assert hash_at_s3(lab, BUCKET, f"{INPUTS}/many/{file.name}") == hash_of(file)
    # A checksum of its own was asked for only where a listing did not tell: at most the few that ended alone.
    script = (
        "from control_plane.research.uploads.models import Upload; "
        f"found = Upload.objects.filter(key__startswith='{INPUTS}/many/', state='complete'); "
        "print(found.count(), found.filter(checksum='').count())"
    )
    done = lab.manage("shell", "-c", script)
    complete, listed = map(int, done.out.split()[-2:])
    assert complete == len(files)
    assert listed > len(files) / 2


def test_another_file_of_the_same_name_is_asked_about(lab: Site, page: Page, tmp_path: Path) -> None:
    names = ("replaced.txt", "kept.txt")
    for name in names:
        lab.root("s3").put_object(Bucket=BUCKET, Key=f"{INPUTS}/{name}", Body=b"what was there")
    files = [make(tmp_path / name, 20) for name in names]
    choose(page, *files)
    send(page)
    for name in names:
        note(page, f"{name}.*is a file of this name already")
    # Whatever is asked, others can be sent.
    later = make(tmp_path / "later.txt", 20)
    choose(page, later)
    send(page)
    accounted(page, sent=1, asking=2)
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/later.txt") == hash_of(later)
    press_on(page, "kept.txt", "Keep what is there")
    press_on(page, "replaced.txt", "Replace it")
    wait_until_complete(page)
    accounted(page, sent=2, refused=1)
    expect(page.locator("[data-account=refused]")).to_contain_text("kept.txt You kept what was there.")
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/replaced.txt") == hash_of(files[0])
    assert lab.root("s3").get_object(Bucket=BUCKET, Key=f"{INPUTS}/kept.txt")["Body"].read() == b"what was there"


def test_s3_having_trouble_delays_and_breaks_nothing(lab: Site, page: Page, tmp_path: Path) -> None:
    file = make(tmp_path / "troubled.bin", 70 * MIB)
    lab.faults.add("503", action="UploadPart", times=2)
    lab.faults.add("drop", action="UploadPart", times=1)
    lab.faults.add("lose", action="UploadPart", times=1)
    lab.faults.add("expired", action="UploadPart", times=1)
    lab.faults.add("lose", action="CompleteMultipartUpload", times=1)
    lab.faults.add("lose", action="PutObject", times=1)
    small = make(tmp_path / "troubled.txt", 100)
    choose(page, file, small)
    send(page)
    wait_until_complete(page)
    for path in (file, small):
        assert hash_at_s3(lab, BUCKET, f"{INPUTS}/{path.name}") == hash_of(path)


@pytest.mark.parametrize("what", ["dropped", "conflict"])
def test_an_upload_that_cannot_be_completed_any_more_is_begun_anew_by_itself(
    lab: Site, page: Page, tmp_path: Path, what: str
) -> None:
    file, key = make(tmp_path / f"{what}.bin", 20 * MIB), f"{INPUTS}/{what}.bin"
    s3, before = lab.root("s3"), lab.faults.counts.copy()
    lab.faults.add("delay", action="CompleteMultipartUpload", times=1, seconds=4.0)
    choose(page, file)
    send(page)
    wait_until(lab.faults, "CompleteMultipartUpload", before["CompleteMultipartUpload"] + 1, seconds=60)
    if what == "dropped":
        (upload,) = s3.list_multipart_uploads(Bucket=BUCKET, Prefix=key)["Uploads"]
        s3.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload["UploadId"])
    else:
        # Somebody had a file of this name there for a moment.
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
        s3.delete_object(Bucket=BUCKET, Key=key)
    wait_until_complete(page)
    assert hash_at_s3(lab, BUCKET, key) == hash_of(file)
    assert lab.faults.counts["CompleteMultipartUpload"] - before["CompleteMultipartUpload"] == 2


def test_a_refused_file_is_said_and_the_others_go_on(lab: Site, page: Page, tmp_path: Path) -> None:
    large, small = make(tmp_path / "refused.bin", 20 * MIB), make(tmp_path / "goes-on.txt", 100)
    rule = lab.faults.add("denied", action="UploadPart")
    choose(page, large, small)
    send(page)
    note(page, "refused.bin.*S3 refuses: your access .* not complete")
    expect.soft(page.locator("#upload-notes")).not_to_contain_text("goes-on.txt")
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/goes-on.txt") == hash_of(small)
    assert keys_at_s3(lab, BUCKET, f"{INPUTS}/refused.bin") == []
    rule.times = 0
    press_on(page, "refused.bin", "Try again")
    wait_until_complete(page)
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/refused.bin") == hash_of(large)


def test_a_bad_name_is_said_and_the_others_go_on(lab: Site, page: Page, tmp_path: Path) -> None:
    page.locator("#upload-folder").fill("inputs/" + "deep/" * 180)
    long_name = make(tmp_path / f"{'x' * 200}.txt", 3)
    choose(page, long_name)
    send(page)
    note(page, "too long")
    page.get_by_role("button", name="Leave it out").click()
    page.locator("#upload-folder").fill("results/")
    choose(page, make(tmp_path / "no-folder.txt", 3))
    send(page)
    note(page, "Files can be sent to inputs.*Set such a folder, and add the file again")
    assert keys_at_s3(lab, BUCKET, f"{GROUP}/results/") == []
    page.locator("#upload-folder").fill("inputs/")
    choose(page, tmp_path / "no-folder.txt")
    send(page)
    accounted(page, sent=1, refused=1)
    assert keys_at_s3(lab, BUCKET, f"{INPUTS}/no-folder.txt") != []


def test_a_file_that_changes_meanwhile_is_never_complete(lab: Site, page: Page, tmp_path: Path) -> None:
    file = make(tmp_path / "changing.bin", 70 * MIB)
    lab.faults.add("delay", action="UploadPart", seconds=3.0)
    choose(page, file)
    send_until(lab, page, parts=1)
    with file.open("r+b") as opened:
        opened.seek(60 * MIB)
        opened.write(b"changed")
    note(page, "changing.bin.*changed on the disk.*add it again")
    assert keys_at_s3(lab, BUCKET, f"{INPUTS}/changing.bin") == []
    # What the page advises can be done.
    lab.faults.clear()
    choose(page, file)
    send(page)
    wait_until_complete(page)
    accounted(page, sent=1, refused=1)
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/changing.bin") == hash_of(file)


def test_who_is_signed_out_meanwhile_signs_in_again_and_goes_on(
    lab: Site, page: Page, context: BrowserContext, tmp_path: Path
) -> None:
    file = make(tmp_path / "signed-out.bin", 40 * MIB)
    lab.faults.add("delay", action="UploadPart", seconds=2.0)
    choose(page, file)
    send_until(lab, page, parts=1)
    other = context.new_page()
    other.goto("/")
    other.get_by_role("button", name="Sign out").click()
    lab.faults.clear()
    note(page, "signed-out.bin.*You are signed out.*Sign in again")
    with context.expect_page() as opened:
        page.get_by_role("link", name="Sign in again in another tab").click()
    opened.value.close()
    sign_in(other, EMAIL, PASSWORD)
    parts = lab.faults.counts["UploadPart"]
    press_on(page, "signed-out.bin", "Try again")
    wait_until_complete(page)
    accounted(page, sent=1)
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/signed-out.bin") == hash_of(file)
    # S3 held all of it.
    assert lab.faults.counts["UploadPart"] == parts


def test_pausing_stops_and_going_on_sends_only_the_rest(lab: Site, page: Page, tmp_path: Path) -> None:
    file = make(tmp_path / "paused.bin", 96 * MIB)
    lab.faults.add("delay", action="UploadPart", seconds=2.0)
    before = lab.faults.counts["UploadPart"]
    choose(page, file)
    send_until(lab, page, parts=1)
    page.locator(".uppy-StatusBar-actionCircleBtn[title=Pause]").click()
    # What had left the browser already is still counted.
    page.wait_for_timeout(1000)
    stood = lab.faults.counts["UploadPart"]
    page.wait_for_timeout(2500)
    assert lab.faults.counts["UploadPart"] == stood
    page.locator(".uppy-StatusBar-actionCircleBtn[title=Resume]").click()
    wait_until_complete(page)
    assert hash_at_s3(lab, BUCKET, f"{INPUTS}/paused.bin") == hash_of(file)
    # Six parts; what was under way, four at most, is sent again.
    assert lab.faults.counts["UploadPart"] - before <= 10


def test_another_device_sees_what_is_unfinished_and_can_give_it_up(lab: Site, page: Page, browser: Browser, tmp_path: Path) -> None:
    lab.faults.add("delay", action="UploadPart", seconds=2.0)
    choose(page, make(tmp_path / "elsewhere.bin", 70 * MIB))
    # Two at a time at first, and never more than four of these: when the fifth goes out, S3 holds one.
    send_until(lab, page, parts=5)
    page.locator(".uppy-StatusBar-actionCircleBtn[title=Pause]").click()
    other = new_context(browser, lab)
    seen = open_page(other, EMAIL, ADDRESS)
    row = seen.locator("#upload-unfinished tr").filter(has_text="inputs/elsewhere.bin")
    expect(row).to_contain_text("% is there", timeout=20_000)
    row.get_by_role("button", name="Discard").click()
    expect(seen.locator("#upload-unfinished")).not_to_contain_text("elsewhere.bin", timeout=20_000)
    other.close()
    uploads = lab.root("s3").list_multipart_uploads(Bucket=BUCKET, Prefix=f"{INPUTS}/elsewhere.bin")
    assert uploads.get("Uploads", []) == []
    # The first device begins anew by itself.
    page.locator(".uppy-StatusBar-actionCircleBtn[title=Resume]").click()
    lab.faults.clear()
    wait_until_complete(page)


def test_leaving_while_files_are_sent_asks_first(lab: Site, page: Page, tmp_path: Path) -> None:
    asked: list[str] = []

    def decline(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", decline)
    lab.faults.add("delay", action="UploadPart", seconds=3.0)
    choose(page, make(tmp_path / "leaving.bin", 40 * MIB))
    send_until(lab, page, parts=1)
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    wait_until_complete(page)


def test_on_a_telephone(lab: Site, browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context(base_url=lab.url, viewport={"width": 390, "height": 844})
    page = open_page(context, EMAIL, ADDRESS)
    choose(page, make(tmp_path / "telephone.txt", 100))
    send(page)
    wait_until_complete(page)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert serious_findings(page) == []
    context.close()
