"""Words for what pydantic finds wrong with a manifest."""

from pydantic import ValidationError


def explain(error: ValidationError) -> str:
    """Return a sentence that names every bad field and what it should be."""
    problems = [
        f"{_field(problem['loc'])}{problem['msg'].removeprefix('Value error, ')}"
        for problem in error.errors(include_url=False, include_input=False)
    ]
    return "The manifest does not fit the schema: " + "; ".join(problems) + "."


def path_of(location: tuple[int | str, ...]) -> str:
    """Return where in the document a field lies, such as `members.0.username`."""
    return ".".join(str(part) for part in location if part not in ("group", "platform"))


def _field(location: tuple[int | str, ...]) -> str:
    path = path_of(location)
    return f"{path}: " if path else ""
