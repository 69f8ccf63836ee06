"""What people and their programs do on a site, over HTTP."""

import json
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from tests.record.running import browser

CLIENT = "cohort-cli"
SECOND_FACTOR = "second-factor@example.org"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
# A recording of 200 MB, which goes in parts.
UPLOAD = {"folder": "inputs", "files": [{"path": "recording.tif", "size": 200_000_000, "modified": 1_700_000_000_000}]}


def api(client: Client, path: str, body: Any) -> Any:
    """Post JSON as a page does; returns what the site answered."""
    answer = client.post(path, json.dumps(body), content_type="application/json")
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.content.decode()[:300]}"
    return answer.json()


def sign_in_computer(email: str) -> dict[str, Any]:
    """Sign a computer in by the device flow, and return its tokens."""
    named = {"client_id": CLIENT, "device_name": "workbench (Linux)"}
    # First, since it empties the cache, in which the site keeps the code.
    window = browser(email)
    code = program("/identity/o/api/device/code", {**named, "scope": "credentials"})
    window.post(f"/identity/o/device?code={code['user_code']}", {"action": "confirm"})
    return program("/identity/o/api/token", {**named, "grant_type": DEVICE, "device_code": code["device_code"]})


def program(path: str, form: dict[str, str]) -> dict[str, Any]:
    """Post a form as a program that is no browser does; returns what the site answered."""
    answer = Client().post(path, urlencode(form), content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.content.decode()[:300]}"
    document: dict[str, Any] = answer.json()
    return document
