"""Write control_plane/accounts/confusables.txt, which is Unicode's confusables.txt without its remarks: a twelfth of it.

    python scripts/confusables.py confusables.txt

Unicode publishes the file at https://www.unicode.org/Public/security/ for each of its versions.
"""

import sys
from collections import defaultdict
from pathlib import Path

TARGET = Path(__file__).resolve().parents[1] / "control_plane/accounts/confusables.txt"
HEAD = """\
# Characters that look like others, shortened from Unicode's confusables.txt by scripts/confusables.py.
# {version}
# {date}
# {copyright}
# Licence: see NOTICE. Each line: what is looked like, a colon, what looks so; code points in hexadecimal.
"""


def shorten(text: str) -> str:
    """Return the same mappings, one line for each target, with the version and date that the file gives.

    Raises ValueError for a file that is none of Unicode's, or is of another form than until now.
    """
    comments: dict[str, str] = {}
    sources: dict[str, list[str]] = defaultdict(list)
    for line in text.removeprefix("\ufeff").splitlines():
        for word, start in (("version", "# Version:"), ("date", "# Date:"), ("copyright", "# ©")):
            if line.startswith(start):
                comments.setdefault(word, line.removeprefix("# "))
        rule = line.partition("#")[0].strip()
        if rule:
            source, target, kind = (part.strip() for part in rule.split(";"))
            if kind != "MA" or " " in source:
                raise ValueError(f"not a rule of this file as it was until now: {line}")
            sources[target].append(source)
    if len(comments) < 3:
        raise ValueError("the file gives no version, date or copyright: it is none of Unicode's")
    rules = [f"{target}:{' '.join(sorted(sources[target], key=lambda source: int(source, 16)))}" for target in sorted(sources)]
    return HEAD.format(**comments) + "\n".join(rules) + "\n"


if __name__ == "__main__":
    TARGET.write_text(shorten(Path(sys.argv[1]).read_text(encoding="utf-8")), encoding="utf-8")
