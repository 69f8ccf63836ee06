"""Names of configurations and of their files. Pure functions."""

CONFIGURATIONS = "configs/"
CONFIGURATION_ENDINGS = (".yaml", ".yml")


def configuration_name(file: str) -> str:
    """Return the displayed name of a file in `configs/`: without `.yaml`, or in full if the file has another ending.

    The full name is also used if the short one would be `.` or `..`, which an address takes for a folder.
    """
    short = file.removesuffix(CONFIGURATION_ENDINGS[0])
    return file if short in ("", ".", "..") or short.endswith(CONFIGURATION_ENDINGS) else short


def configuration_file(name: str) -> str:
    """Return the file of a configuration by its name; the inverse of `configuration_name`."""
    return name if name.endswith(CONFIGURATION_ENDINGS) else f"{name}{CONFIGURATION_ENDINGS[0]}"
