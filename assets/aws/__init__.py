"""How the web process gets its rights on AWS, which are less than the host's own."""
