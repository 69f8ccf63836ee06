"""What changes from run to run, and what is written in its place. Whatever is not in this list is recorded as it is."""

import re

# In this order: the longer forms come first. Each with what it is.
RULES: tuple[tuple[str, str, str], ...] = (
    # Links that are signed, or serve once.
    (r"(/accounts/confirm-email/)[^\s/]+", r"\1<token>", "the key of a link that verifies an address"),
    (r"(/accounts/password/reset/key/)[^\s/]+", r"\1<token>", "the key of a link that sets a password"),
    (r"(/accounts/email/change/)[^\s/]+", r"\1<token>", "the token of a link that changes an address"),
    (r"(/requests/link/)[^\s/]+", r"\1<token>", "the token of a link that decides a request"),
    (r"(/jobs/shared/)[^\s/]+", r"\1<token>", "the token of a shared job"),
    # Moments and days.
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00| UTC)?", "<moment>", "a moment"),
    (r"(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, \d\d [A-Z][a-z]+ \d{4}(, \d\d:\d\d)?", "<day>", "a day in words, or a moment"),
    (r"\b\d\d [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC", "<moment>", "a moment in words"),
    (
        r"\b\d\d (January|February|March|April|May|June|July|August|September|October|November|December)\b",
        "<day>",
        "a day of a year",
    ),
    (r"\b\d{4}-\d\d-\d\d\b", "<day>", "a day"),
    (r"it took [^\n]+?\.(?=\n|$)", "it took <time>.", "how long something took"),
    # Names that are drawn.
    (r"\bm[a-z2-7]{11}\b(?<!manufacturer)", "<username>", "a member's opaque name on AWS"),
    (r"\b[A-Z2-9]{4}(-[A-Z2-9]{4}){5}\b", "<code>", "a join code"),
    (r"\bbegins with [A-Z2-9]{4}\b", "begins with <code>", "a join code's first letters"),
    (r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b", "<key>", "an access key's id"),
    (r"job__([a-z0-9-]+)_\d+", r"job__\1_<time>", "a job's name"),
    # Rows' numbers in addresses.
    (r"(?<=/)\d+(?=/)", "<number>", "a row's number in an address"),
    (r"\b([Dd])eployment \d+\b", r"\1eployment <number>", "a deployment's number in a sentence"),
    # What an asset is called follows from its bytes.
    (r"\b[0-9a-f]{64}\b", "<hash>", "an asset's SHA-256, which follows from the code's own files"),
    (r"127\.0\.0\.1:\d{4,5}\b", "127.0.0.1:<port>", "a port of this machine"),
)
_COMPILED = tuple((re.compile(pattern), written) for pattern, written, _ in RULES)


def normalise(text: str) -> str:
    """Return the text with all that changes from run to run written alike."""
    for pattern, written in _COMPILED:
        text = pattern.sub(written, text)
    return text
