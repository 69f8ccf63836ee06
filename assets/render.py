"""Write nginx's and systemd's files of one site: the templates beside this file, with the site's values.

    python assets/render.py --domain cohort.example.org --tls certbot --out /tmp/rendered

makes `nginx/` (for /etc/nginx) and `systemd/` (for /etc/systemd/system) in that folder. The site takes the place of the
distribution's default site, so its nginx.conf stays untouched and goes on being updated. Standard library only.
"""

import argparse
import html
import ipaddress
import json
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TLS = ("certbot", "acm")
# What nginx answers by itself, by status.
ERRORS: dict[str, dict[str, Any]] = tomllib.loads((HERE / "nginx/errors.toml").read_text())
PLACEHOLDER = re.compile(r"{{ (\w+) }}")
DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class BadValue(ValueError):
    """A value would make no site. The message says which and why."""


@dataclass(frozen=True)
class Values:
    """Values of the templates. The defaults are the host's; tests have ports and folders of their own."""

    domain: str
    tls: str = "certbot"
    vpc: str = "10.20.0.0/24"
    nginx: str = "/etc/nginx"
    socket: str = "/run/cohort-web.sock"
    static: str = "/var/lib/cohort/static"
    docs: str = "/opt/cohort/current/site"
    challenges: str = "/var/www/letsencrypt"
    access_log: str = "/var/log/nginx/access.log"
    letsencrypt: str = "/etc/letsencrypt/live"
    addresses: tuple[str, ...] = ("", "[::]:")
    http_port: int = 80
    https_port: int = 443
    header_seconds: int = 15
    body_seconds: int = 15
    general_rate: int = 50
    general_burst: int = 300

    def __post_init__(self) -> None:
        if not DOMAIN.fullmatch(self.domain):
            raise BadValue(f"--domain {self.domain!r} is no host name in small letters, such as cohort.example.org.")
        if self.tls not in TLS:
            raise BadValue(f"--tls {self.tls!r} is neither certbot nor acm.")
        try:
            ipaddress.ip_network(self.vpc)
        except ValueError as error:
            raise BadValue(f"--vpc {self.vpc!r} is no network: {error}.") from None

    def as_dict(self) -> dict[str, str]:
        """Return each placeholder's text."""
        return {
            "domain": self.domain,
            "domain_pattern": re.escape(self.domain),
            "authority": self.domain if self.https_port == 443 else f"{self.domain}:{self.https_port}",
            "vpc": self.vpc,
            "nginx": self.nginx,
            "errors": f"{self.nginx}/cohort/errors",
            "error_pages": "\n".join(f"error_page {status} /_errors/{status}.$cohort_error_form;" for status in ERRORS),
            "socket": self.socket,
            "static": self.static,
            "docs": self.docs,
            "challenges": self.challenges,
            "access_log": self.access_log,
            "certificates": f"{self.letsencrypt}/{self.domain}",
            "listen_http": self._listen(self.http_port, "default_server"),
            "listen_https": self._listen(self.https_port, "ssl http2"),
            "listen_https_default": self._listen(self.https_port, "ssl http2 default_server"),
            "header_seconds": str(self.header_seconds),
            "body_seconds": str(self.body_seconds),
            "general_rate": str(self.general_rate),
            "general_burst": str(self.general_burst),
        }

    def _listen(self, port: int, options: str) -> str:
        return "\n    ".join(f"listen {address}{port} {options};" for address in self.addresses)


def render(values: Values, out: Path) -> None:
    """Write all files of the site below this folder."""
    texts, folder = values.as_dict(), out / "nginx"
    (folder / "sites-enabled").mkdir(parents=True, exist_ok=True)
    (folder / "cohort").mkdir(exist_ok=True)
    for template in sorted((HERE / "nginx").glob("*.conf")):
        if template.name == f"site.{values.tls}.conf":
            # In the place of the distribution's own, which would claim the same ports.
            target = folder / "sites-enabled/default"
        elif template.name.startswith("site."):
            continue
        else:
            target = folder / "cohort" / template.name
        target.write_text(_fill(template, texts))
    render_errors(folder / "cohort/errors")
    shutil.copytree(HERE / "systemd", out / "systemd", dirs_exist_ok=True)


def render_errors(folder: Path) -> None:
    """Write a page and a JSON document for each status of errors.toml into this folder, which is made, and their style sheet."""
    folder.mkdir(exist_ok=True)
    shutil.copy(HERE / "nginx/errors.css", folder)
    for status, error in ERRORS.items():
        link = '<a href="">Try again</a>' if error["again"] else '<a href="/">To your home page</a>'
        texts = {name: html.escape(error[name], quote=False) for name in ("title", "heading", "text")}
        (folder / f"{status}.html").write_text(_fill(HERE / "nginx/error.html", texts | {"status": status, "link": link}))
        # Scripts of our pages read `detail`; signed-in computers read what OAuth calls it.
        detail = f"{error['heading']}. {error['text']}"
        document = {"detail": detail, "error": error["error"], "error_description": detail}
        (folder / f"{status}.json").write_text(json.dumps(document, ensure_ascii=False) + "\n")


def _fill(template: Path, texts: dict[str, str]) -> str:
    try:
        return PLACEHOLDER.sub(lambda match: texts[match[1]], template.read_text())
    except KeyError as error:
        raise BadValue(f"{template.name} asks for {error}, which render.py does not know.") from None


def main() -> None:
    """Render what the arguments say, or end with a message."""
    parser = argparse.ArgumentParser(description="Write nginx's and systemd's files of one site.")
    parser.add_argument("--domain", required=True, help="The site's host name.")
    parser.add_argument("--tls", choices=TLS, default="certbot", help="Who holds the certificate: this host, or a load balancer.")
    parser.add_argument("--vpc", default=Values.vpc, help="With acm: the network that the load balancer is in.")
    parser.add_argument("--out", type=Path, required=True, help="The folder to write to; it gets nginx/ and systemd/.")
    options = parser.parse_args()
    try:
        render(Values(domain=options.domain, tls=options.tls, vpc=options.vpc), options.out)
    except (BadValue, OSError) as error:
        sys.exit(f"render.py: {error}")


if __name__ == "__main__":
    main()
