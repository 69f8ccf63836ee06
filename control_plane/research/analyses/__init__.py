"""Analyses across rooms: state that groups, the catalogue and jobs each hold of an analysis. No Django app: the rows are theirs."""
