"""The web process's rights on AWS, which are less than the host's own."""
