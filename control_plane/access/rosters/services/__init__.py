"""Services of rosters: the operations that pages, commands and tasks call."""
