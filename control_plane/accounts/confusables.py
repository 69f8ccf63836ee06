"""Names that look like others, by Unicode Technical Standard 39 and its data (`confusables.txt`, whose head says of when)."""

import unicodedata
from functools import cache
from pathlib import Path

import regex

_DATA = Path(__file__).parent / "confusables.txt"
# UTS 39, section 4, step 2: what is not drawn does not count.
_IGNORED = regex.compile(r"\p{Default_Ignorable_Code_Point}")


@cache
def prototypes() -> dict[int, str]:
    """Return what each character looks like, by its number; as `str.translate` takes it."""
    found = {}
    for line in _DATA.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            target, _, sources = line.partition(":")
            text = "".join(chr(int(number, 16)) for number in target.split())
            found.update({int(number, 16): text for number in sources.split()})
    return found


def skeleton(text: str) -> str:
    """Return what two texts that look alike have in common (UTS 39, section 4, without its rules for mixed directions)."""
    seen = _IGNORED.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFD", seen.translate(prototypes()))


def keys(name: str) -> frozenset[str]:
    """Return the name's skeletons, as it stands and in small and large letters. Names that share one look alike.

    Small letters of other scripts look like small ones, large like large; and `I` like `l` only where nothing is changed.
    """
    plain = " ".join(name.split())
    return frozenset(f"{kind}:{skeleton(form)}" for kind, form in enumerate((plain, plain.casefold(), plain.upper())))
