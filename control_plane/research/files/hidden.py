"""Objects of a job that only its back end needs: neither listed nor zipped."""

# Folders by a part of their name, and files by their whole name.
HIDDEN_PART, HIDDEN_FILE = "internal_ec2_logs", "update.txt"


def is_shown(key: str) -> bool:
    """Tell whether people are shown this object of a job."""
    return not any(HIDDEN_PART in part or part == HIDDEN_FILE for part in key.split("/"))
