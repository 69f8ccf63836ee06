"""Odd requests to every address of the site, drawn by a seed: the same seed draws the same requests."""

import inspect
import json
import random
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import URLPattern, URLResolver, get_resolver

from control_plane.api import api
from tests.e2e.tries import PARAMETER

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
METHODS = ("GET", "GET", "GET", "POST", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE")
# What a parser, a database or a file system may stumble over. How deep what is sent may be nested is tried where it is read.
ODD = (
    "",
    " ",
    "0",
    "-1",
    "2",
    "1.5",
    "1e400",
    "NaN",
    "null",
    "true",
    "[]",
    "{}",
    '["a"]',
    '{"a": 1}',
    '["\\ud800"]',
    "[1e999]",
    '"',
    "'",
    "<script>",
    "²",
    "١٢",
    "é́ß\u0130",
    "\u202e\u200b",
    "😀",
    "a\nb",
    "a\r\nX-Injected: 1",
    "\t",
    "..",
    "../../etc/passwd",
    "/",
    "//evil.example.org",
    "http://[::1",
    "javascript:alert(1)",
    "%",
    "%00",
    "%ff",
    "a,b",
    "1,x",
    "=1+1",
    "on",
    "2024-13-45",
    "0001-01-01",
    "9999-12-31",
    "10000-01-01",
    "2024-01-01T00:00:00+99:99",
    "a@b",
    "ada@example.org",
    "x" * 300,
    "x" * 5000,
    "é" * 130,
    str(2**31),
    str(2**63),
    str(10**30),
    "9" * 5000,
    "-" + "9" * 40,
)
# Bytes that are no UTF-8.
RAW = ("%ff%fe", "%ed%a0%80", "%c0%ae", "%f4%90%80%80")
NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63, 10**30, -(10**30), 1.5, True, None, "x", "7")
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {},
    {},
    {"HX-Request": "true"},
    {"Authorization": "Bearer \xff"},
    {"Authorization": "Basic x"},
    {"X-Forwarded-For": "x, y"},
    {"If-Modified-Since": "x"},
    {"Range": "bytes=5-1"},
    {"Accept-Language": "x" * 600},
    {"Cookie": "sessionid=\"; csrftoken='"},
    {"Host": "evil.example.org:99999"},
    {"Referer": "http://[::1"},
    {"X-CSRFToken": "x"},
)
READ = re.compile(r"(?:GET|POST|QUERY|FILES|query|data)(?:\.\w+)?[\(\[]\s*\"([a-z_0-9]+)\"")
LISTS = ("q", "o", "p", "e", "all", "_popup", "_to_field", "_changelist_filters", "is_active__exact", "use", "standing")
ACTIONS = ("action", "_selected_action", "select_across", "index", "post")


@dataclass(frozen=True)
class Address:
    """A pattern of the site, and which parameters whoever answers there reads."""

    route: str
    names: tuple[str, ...]


@dataclass
class Request:
    """One odd request, and how to say it again."""

    method: str
    path: str
    body: bytes | dict[str, Any] = b""
    content_type: str = FORM
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path[:300]} {self.content_type} {str(self.body)[:400]} {self.headers}"


def addresses(resolver: URLResolver | None = None, route: str = "") -> Iterator[Address]:
    """Every address, by Django's own account."""
    for pattern in (resolver or get_resolver()).url_patterns:
        here = f"{route}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            yield Address(here, _names(pattern.callback, here))
        else:
            yield from addresses(pattern, here)


def _names(view: Callable[..., Any], route: str) -> tuple[str, ...]:
    """The parameters that the view's module names, and the fields of the forms that it uses."""
    inner = inspect.unwrap(view)
    inner = getattr(inner, "view_class", None) or getattr(inner, "func", inner)
    module = sys.modules.get(getattr(inner, "__module__", ""), None)
    found = set(LISTS + ACTIONS) if route.startswith("admin/") else {"page", "q", "next"}
    if module is not None and (path := getattr(module, "__file__", None)):
        found |= set(READ.findall(Path(path).read_text()))
        for var in vars(module).values():
            if inspect.isclass(var) and issubclass(var, forms.BaseForm):
                found |= set(getattr(var, "base_fields", {}))
    return tuple(sorted(found))


class Fuzzer:
    """Draws requests. `known` gives what an address's parameter is really called, so that some requests get far."""

    def __init__(self, seed: int, known: dict[str, tuple[Any, ...]]) -> None:
        self._random = random.Random(seed)  # noqa: S311 (no secret)
        self._known = known
        self._schema = api.get_openapi_schema()
        self._allowed: dict[str, tuple[str, ...]] = {}
        names: set[str] = set()
        for address in addresses():
            names |= set(address.names)
        self._names = sorted(names)

    def request(self, address: Address) -> Request:
        """One request to this address."""
        draw = self._random
        method = draw.choice(self._allowed.get(address.route, METHODS) if draw.random() < 0.9 else METHODS)
        path = self._path(address.route)
        if draw.random() < 0.7:
            path += "?" + self._query(address)
        headers = dict(draw.choice(HEADERS))
        if method in ("GET", "HEAD", "OPTIONS", "TRACE", "DELETE"):
            return Request(method, path, headers=headers)
        if address.route.startswith("api/") or draw.random() < 0.1:
            return Request(method, path, self._document(address.route), JSON, headers)
        if method == "POST" and draw.random() < 0.15:
            files = {
                name: SimpleUploadedFile(draw.choice(("a.csv", "é\n.txt", "x" * 200)), self._odd().encode())
                for name in ("file", "x")
            }
            return Request(method, path, {**dict(self._pairs(address)), **files}, "multipart", headers)
        return Request(method, path, self._query(address).encode(), FORM, headers)

    def note(self, address: Address, allow: str) -> None:
        """Remember what an address said it allows, so that fewer requests end there."""
        if allow:
            self._allowed[address.route] = tuple(name.strip() for name in allow.split(","))

    def _path(self, route: str) -> str:
        def fill(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if self._random.random() < 0.75 and name in self._known:
                return quote(str(self._random.choice(self._known[name])), safe="")
            return self._random.choice(RAW) if self._random.random() < 0.1 else quote(self._odd(), safe="/")

        return "/" + PARAMETER.sub(fill, route).replace("^", "").replace("$", "").replace("(?P<url>.*)", "x")

    def _query(self, address: Address) -> str:
        text = urlencode(self._pairs(address))
        return f"{text}&x={self._random.choice(RAW)}" if self._random.random() < 0.05 else text

    def _pairs(self, address: Address) -> list[tuple[str, str]]:
        draw = self._random
        pairs = []
        for name in address.names:
            if draw.random() < 0.6:
                is_known = name in self._known and draw.random() < 0.5
                pairs.append((name, str(draw.choice(self._known[name])) if is_known else self._odd()))
        if draw.random() < 0.3:
            pairs.append((draw.choice(self._names), self._odd()))
        return pairs

    def _odd(self) -> str:
        return self._random.choice(ODD)

    def _document(self, route: str) -> bytes:
        """What the API's own description asks for there, with an odd value here and there; or nothing of the kind."""
        draw = self._random
        described = self._schema["paths"].get("/" + PARAMETER.sub(lambda match: f"{{{match[1] or match[2]}}}", route), {})
        bodies = [item["requestBody"]["content"][JSON]["schema"] for item in described.values() if "requestBody" in item]
        if not bodies or draw.random() < 0.1:
            return draw.choice((b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"1", b'{"a": NaN}', b'{"keys": 1}'))
        return json.dumps(self._value(bodies[0])).encode()

    def _value(self, schema: dict[str, Any]) -> Any:
        draw = self._random
        if "$ref" in schema:
            return self._value(self._schema["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        if draw.random() < 0.05:
            return draw.choice((None, [], {}, "x", 1))
        match schema.get("type"):
            case "object":
                return {name: self._value(part) for name, part in schema.get("properties", {}).items() if draw.random() < 0.95}
            case "array":
                return [self._value(schema.get("items", {})) for _ in range(draw.randint(0, 3))]
            case "integer" | "number":
                return draw.choice(NUMBERS)
        return draw.choice(("\ud800", "\0", "a\0b", "inputs", self._odd(), self._odd()))
