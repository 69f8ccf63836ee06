"""The built documentation, as tests look at it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

# What a browser fetches by itself, by the element and the attribute that name it.
LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "use": ("href",),
    "image": ("href",),
}
# A link of these kinds is fetched; `canonical`, `next` and the like are not.
LOADING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch", "manifest"}


@dataclass
class Seen(HTMLParser):
    """What one page loads, where it leads, which anchors it has, and what a strict policy would not let it do."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    inline: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return id(self)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.loads += [values[name] for name in LOADED.get(tag, ()) if values.get(name)]
        if tag == "link" and LOADING_LINKS & set(values.get("rel", "").split()):
            self.loads.append(values.get("href", ""))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if (tag == "script" and "src" not in values and values.get("type") != "application/json") or tag == "style":
            self.inline.append(f"<{tag}>")
        self.inline += [f"{tag} {name}" for name in values if name == "style" or name.startswith("on")]


def read(folder: Path) -> dict[Path, Seen]:
    """Every page of the site."""
    seen = {}
    for path in folder.rglob("*.html"):
        seen[path] = Seen()
        seen[path].feed(path.read_text())
    return seen


def is_elsewhere(address: str) -> bool:
    """Whether an address names another host."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme not in ("", "data", "mailto")


def broken_links(folder: Path, pages: dict[Path, Seen]) -> list[tuple[str, str]]:
    """Links within the site that lead to no file of it, or to no anchor of the page."""
    broken = []
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            if is_elsewhere(link) or link.startswith(("data:", "mailto:")):
                continue
            target, anchor = urldefrag(link)
            file = (path.parent / unquote(target)).resolve() if target else path
            file = file / "index.html" if file.is_dir() else file
            found = file.is_file() and folder.resolve() in file.resolve().parents
            if not found or (anchor and file in pages and unquote(anchor) not in pages[file].anchors):
                broken.append((str(path.relative_to(folder)), link))
    return broken
