"""What the host is made of: its boot and installation scripts, and the templates of its services."""
