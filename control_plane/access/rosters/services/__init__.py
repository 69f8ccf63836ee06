"""What is done with rosters. Pages, commands and tasks call these."""
