"""Analyses across rooms: what groups, the catalogue and jobs each hold of one. No app of Django's: the rows are theirs."""
