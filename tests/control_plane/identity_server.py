"""An institution's OpenID Connect server, as small as it can be: it signs in whom the test says."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt


class IdentityServer:
    """Serves on a free port of this machine while the `with` lasts."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {}
        self.audience = "cohort"
        # Instead of the claims, where a test wants that.
        self.userinfo: Any = None
        self.is_broken = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                address = urlsplit(self.path)
                if address.path == "/authorize":
                    asked = parse_qs(address.query)
                    self.send_response(302)
                    back = urlencode({"code": "a-code", "state": asked["state"][0]})
                    self.send_header("Location", f"{asked['redirect_uri'][0]}?{back}")
                    self.end_headers()
                    return
                self._answer(server.answer(self.path))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(server.answer(self.path))

            def _answer(self, document: Any) -> None:
                body = json.dumps({} if document is None else document).encode()
                self.send_response(503 if document is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def id_token(self) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": self.audience, "iat": now, "exp": now + 60, **self.claims}
        return jwt.encode(claims, "a-key-that-nobody-checks-on-this-way-in", algorithm="HS256")

    def answer(self, path: str) -> dict[str, Any] | None:
        if self.is_broken:
            return None
        if path.endswith("openid-configuration"):
            paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "userinfo_endpoint": "userinfo"}
            return {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
                **{name: f"{self.url}/{one}" for name, one in paths.items()},
            }
        if path == "/token":
            return {"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token()}
        said = self.claims if self.userinfo is None else self.userinfo
        return said if path == "/userinfo" else {"keys": []}
