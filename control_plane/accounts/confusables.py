"""Look-alike names, by Unicode Technical Standard 39 and its data (`confusables.txt`, whose first lines give the version)."""

import unicodedata
from functools import cache
from pathlib import Path

import regex

_DATA = Path(__file__).parent / "confusables.txt"
# UTS 39, section 4, step 2: characters that are not drawn do not count.
_IGNORED = regex.compile(r"\p{Default_Ignorable_Code_Point}")


@cache
def prototypes() -> dict[int, str]:
    """Return the prototype of each confusable character by its code point, as `str.translate` takes it."""
    lookalikes = {}
    for line in _DATA.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            target, _, sources = line.partition(":")
            text = "".join(chr(int(number, 16)) for number in target.split())
            lookalikes.update({int(number, 16): text for number in sources.split()})
    return lookalikes


def skeleton(text: str) -> str:
    """Return the text's skeleton, which is equal for look-alike texts (UTS 39, section 4, without bidirectional rules)."""
    seen = _IGNORED.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFD", seen.translate(prototypes()))


def lookalike_keys(name: str) -> frozenset[str]:
    """Return the skeletons of the name as it is, in lower and in upper case. Names that share one look alike.

    Letters of other scripts look like letters of the same case, and `I` looks like `l` only if the case is not changed.
    """
    plain = " ".join(name.split())
    return frozenset(f"{kind}:{skeleton(form)}" for kind, form in enumerate((plain, plain.casefold(), plain.upper())))
