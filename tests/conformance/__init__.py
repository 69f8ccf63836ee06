"""One suite for any AWS: Cohort's main path through its own front doors, as somebody would try it who trusts no emulator.

`make conformance` runs it; `docs/conformance.md` has what came of it. Nothing here knows the inside of an AWS: a target is an
endpoint and an administrator's credentials.
"""
