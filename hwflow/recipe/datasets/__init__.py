"""Options of the data sets, a module each: a module here, or an entry point of this package's name,
adds a data set that a recipe can name."""
