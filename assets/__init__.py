"""Files of the host: its boot and installation scripts, and the templates of its services."""
