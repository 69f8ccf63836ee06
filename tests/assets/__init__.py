"""What the host is made of, run as far as it runs here."""
