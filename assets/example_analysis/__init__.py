"""A small analysis, whole: what the catalogue says of it, what it is configured by, sample data, and what it computes."""
