"""Names of configurations, and of the files that hold them. Pure: nothing here asks anybody."""

CONFIGURATIONS = "configs/"
CONFIGURATION_ENDINGS = (".yaml", ".yml")


def configuration_name(file: str) -> str:
    """Return what people call a file in `configs/`. One of another name than `<name>.yaml` is called by all of it.

    So is one whose name would be a dot or two: in an address those are taken for a folder.
    """
    short = file.removesuffix(CONFIGURATION_ENDINGS[0])
    return file if short in ("", ".", "..") or short.endswith(CONFIGURATION_ENDINGS) else short


def configuration_file(name: str) -> str:
    """Return the file that has this name: what `configuration_name` makes of it is the name again."""
    return name if name.endswith(CONFIGURATION_ENDINGS) else f"{name}{CONFIGURATION_ENDINGS[0]}"
