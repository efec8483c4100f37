"""Options of the networks, a module each: a module here, or an entry point of this package's name,
adds a network that a recipe can name."""
