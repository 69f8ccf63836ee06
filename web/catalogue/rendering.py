"""Rendering of descriptions: Markdown to HTML with text markup and links only; nothing in it runs or loads."""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token

# The page has h1 and h2 of its own.
LOWER_BY, LOWEST = 2, 6
TAGS = {
    *("a", "blockquote", "br", "code", "del", "em", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s", "strong"),
    *("table", "tbody", "td", "th", "thead", "tr", "ul"),
}
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def to_html(markdown: str) -> SafeString:
    """Return a description as HTML. Images become links to them: pages load nothing from other hosts."""
    tokens = _PARSER.parse(markdown)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + LOWER_BY, LOWEST)}"
        if token.children:
            token.children = [part for child in token.children for part in _without_picture(child)]
    html = _PARSER.renderer.render(tokens, _PARSER.options, {})
    cleaned = nh3.clean(
        html,
        tags=TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}},
        url_schemes={"https", "mailto"},
        link_rel="noopener nofollow",
    )
    return mark_safe(cleaned)  # noqa: S308 - cleaned just before


def _without_picture(token: Token) -> list[Token]:
    if token.type != "image":
        return [token]
    opened = Token("link_open", "a", 1, attrs={"href": str(token.attrs.get("src", ""))})
    words = Token("text", "", 0, content=token.content or "picture")
    return [opened, words, Token("link_close", "a", -1)]
