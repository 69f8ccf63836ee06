"""Pictures of every page in its main states, and a look by axe-core at each of them."""
