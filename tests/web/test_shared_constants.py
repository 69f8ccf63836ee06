"""Constants that Python and the pages' scripts both need: served to the page, or compared here where a script has its own."""

import json
import re
from pathlib import Path

from django.conf import settings
from django.template import engines

from control_plane.access.groups.models import Analysis, Grant, Group, Membership
from control_plane.base.visible import UNSEEN
from control_plane.deployments.models import Stack
from control_plane.research.storage.group_folder import GroupFolder
from control_plane.research.storage.objects import MAX_KEYS
from control_plane.research.uploads.initiate import MAX_FILES
from control_plane.research.uploads.names import check_folder
from control_plane.research.uploads.parts import is_multipart

ROOT = Path(__file__).resolve().parents[2]
UPLOADS = ROOT / "web/uploads/static/uploads"


def constant(script: Path, name: str) -> str:
    found = re.search(rf"\b{name}\b(?: =|:) (.+?)[;,}}]", script.read_text())
    assert found, f"{script.name} has no {name}"
    return found[1].strip().replace("_", "")


def test_the_upload_page_is_told_what_goes_in_one_request_and_where_files_go() -> None:
    group = Group(slug="example-lab", stack=Stack(region="us-east-1"))
    place = GroupFolder(group, Analysis(bucket="cohort-ephys"), Membership(), Grant())
    template = engines["django"].from_string(
        "{% load upload_page %}{% upload_settings place as settings %}{{ settings|json_script:'s' }}"
    )
    text = template.render({"place": place})
    told = json.loads(text[text.index(">") + 1 : text.rindex("<")])
    assert not is_multipart(told["largest_single_bytes"])
    assert is_multipart(told["largest_single_bytes"] + 1)
    assert [check_folder(folder) for folder in told["folders"]] == ["inputs/", "configs/", "submissions/"]


def test_scripts_send_no_more_at_once_than_the_api_takes() -> None:
    queue = UPLOADS / "queue.js"
    assert int(constant(queue, "BEGUN_AT_ONCE")) <= MAX_FILES
    assert int(constant(queue, "most")) <= MAX_FILES
    assert int(constant(ROOT / "web/files/static/files/deleting.js", "MAX_BACK")) <= MAX_KEYS


def test_scripts_read_the_token_from_the_cookie_that_django_sets() -> None:
    for script in ("control_plane/research/storage/static/storage/csrf.js", "control_plane/static/cohort/site.js"):
        assert f"{settings.CSRF_COOKIE_NAME}=" in (ROOT / script).read_text()


def test_what_cannot_be_seen_is_the_same_in_both() -> None:
    assert f"const UNSEEN = /{UNSEEN.pattern}/gu;" in (ROOT / "control_plane/static/cohort/visible.js").read_text()
