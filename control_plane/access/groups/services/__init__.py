"""What can be done with groups. The administration, the commands and the API call these and nothing deeper."""
