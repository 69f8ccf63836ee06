"""Services of groups: the operations that the administration, the commands and the API call, and nothing deeper."""
