"""A person on the site without a browser: plain HTTP, with the cookies that a browser would keep."""

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from email.message import Message
from http.cookiejar import CookieJar
from typing import IO, Any

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What the site said. A redirect is not followed."""

    status: int
    location: str
    text: str

    @property
    def document(self) -> Any:
        """What it said, read as JSON."""
        return json.loads(self.text)


class Visitor:
    """Signed out until `sign_in`. Each request that changes something carries a valid token against forged requests."""

    def __init__(self, url: str) -> None:
        self._url, self._cookies = url, CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies), _NoRedirects)
        self.ask("GET", "/accounts/login/")

    def sign_in(self, email: str, password: str) -> None:
        """By the form, as everybody does."""
        answer = self.ask("POST", "/accounts/login/", form={"login": email, "password": password})
        assert (answer.status, answer.location) == (302, "/"), answer.text

    def ask(
        self,
        method: str,
        path: str,
        *,
        form: dict[str, str] | None = None,
        body: Any = None,
        bearer: str = "",
        forged: bool = False,
    ) -> Answer:
        """One request, with a form or a body of JSON. A forged one comes from another site's page, which has no token."""
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        data = None
        if body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        elif method == "POST":
            data = urllib.parse.urlencode(form or {}).encode()
        if method != "GET" and not forged:
            headers["X-CSRFToken"] = self._token
        request = urllib.request.Request(f"{self._url}{path}", data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=SECONDS) as response:
                return _answer(response.status, response.headers, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error.code, error.headers, error.read())

    def download(self, path: str, form: dict[str, str]) -> Any:
        """Send a form, and return the response to read from, as a context manager. Raises HTTPError where it is refused."""
        data = urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(f"{self._url}{path}", data=data, headers={"X-CSRFToken": self._token}, method="POST")
        return self._opener.open(request, timeout=SECONDS)

    @property
    def _token(self) -> str:
        return next((cooky.value or "" for cooky in self._cookies if cooky.name == "csrftoken"), "")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


def _answer(status: int, headers: Message, content: bytes) -> Answer:
    return Answer(status, headers.get("Location", ""), content.decode(errors="replace"))
