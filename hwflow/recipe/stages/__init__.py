"""Options of the stages, a module each: a module here, or an entry point of this package's name,
adds a stage that a recipe can name."""
