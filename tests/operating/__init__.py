"""Tests of what installs, starts and operates a site on one machine: `scripts/`."""
