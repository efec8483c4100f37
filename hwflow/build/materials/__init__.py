"""What steps work on, read from the recipe and from what earlier steps left."""
