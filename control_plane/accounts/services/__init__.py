"""Changes to an account. Views, forms, adapters and commands call these, and nothing else changes one."""
