"""What nginx is told, and what people get from it when nobody is behind it."""

import html.parser
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from assets.install.certificate import CHALLENGES
from assets.render import ERRORS, BadValue, Values, render_errors
from stacks.site import network
from tests.assets.serving import ALWAYS, ROOT, Nginx, need_nginx


@pytest.fixture
def down(tmp_path: Path) -> Iterator[Nginx]:
    """Nginx with nobody behind it."""
    server = Nginx(tmp_path / "down", socket=str(tmp_path / "nobody.sock"), docs=str(tmp_path), general_rate=1, general_burst=2)
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize("tls", ["certbot", "acm"])
def test_nginx_finds_no_fault_in_what_is_rendered(tmp_path, tls):
    need_nginx()
    checked = Nginx(tmp_path / tls, tls=tls, docs=str(tmp_path)).test()
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr


@pytest.mark.parametrize(
    "wrong", [{"domain": "a b"}, {"domain": "x;}"}, {"domain": ""}, {"domain": "A.org"}, {"vpc": "10/8;"}, {"tls": "none"}]
)
def test_what_would_break_the_configuration_is_refused(wrong):
    with pytest.raises(BadValue):
        Values(**({"domain": "cohort.example.org"} | wrong))


def test_defaults_are_the_hosts():
    values = Values(domain="cohort.example.org")
    assert values.challenges == CHALLENGES
    assert values.vpc == network.NETWORK
    assert "client_max_body_size 2560k;" in (ROOT / "assets/nginx/locations.conf").read_text()
    assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == 2560 * 1024


def test_a_site_that_is_down_is_told_kindly(down):
    answer = down.secure("GET", "/groups/a/")
    assert answer.status == 502
    assert "being restarted" in answer.text
    assert "Nothing that was saved is lost" in answer.text
    assert answer.one("Cache-Control") == "no-store"
    assert answer.one("Retry-After") == "10"
    for name in ALWAYS:
        assert len(answer.all(name)) == 1, name
    told = json.loads(down.secure("GET", "/api/uploads/", source="127.0.0.3").text)
    assert "being restarted" in told["detail"]
    assert down.secure("GET", "/_errors/errors.css").status == 200
    # The pages themselves are nobody's to ask for.
    assert down.secure("GET", "/_errors/502.html").status == 404
    statuses = [down.secure("GET", "/", source="127.0.0.4").status for _ in range(6)]
    assert statuses[0] == 502
    assert statuses[-1] == 429


def test_no_link_that_opens_something_stands_in_the_log(down):
    for path in (
        "/accounts/password/reset/key/1-secret/",
        "/requests/link/secret/",
        "/accounts/google/login/callback/?code=secret",
    ):
        down.secure("GET", path, source="127.0.0.5")
    time.sleep(0.2)
    log = (down.folder / "access.log").read_text()
    down.secure("GET", "/accounts/login/?next=/a")
    assert "/requests/link/..." in log
    assert "secret" not in log + (down.folder / "error.log").read_text()
    # What failed is told all the same where nothing secret is in it.
    assert "/accounts/login/" in (down.folder / "error.log").read_text()


@pytest.mark.parametrize("status", ERRORS)
def test_error_pages_need_nothing_that_could_be_missing(status, tmp_path):
    render_errors(tmp_path)
    path = tmp_path / f"{status}.html"
    tags: list[tuple[str, dict[str, str | None]]] = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append((tag, dict(attrs)))

    Reader().feed(path.read_text())
    names = [tag for tag, _ in tags]
    assert not {"script", "style", "img", "iframe", "form"} & set(names)
    assert names.count("h1") == names.count("title") == names.count("main") == 1
    assert dict(tags)["html"] == {"lang": "en"}
    assert all("style" not in attributes for _, attributes in tags)
    assert [attributes["href"] for tag, attributes in tags if tag == "link"] == ["/_errors/errors.css"]
    told = json.loads(path.with_suffix(".json").read_text())
    assert told["detail"]
    assert told["error"]
