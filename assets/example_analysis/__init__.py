"""A small analysis, complete: its catalogue entry, its configuration, sample data, and its computation."""
