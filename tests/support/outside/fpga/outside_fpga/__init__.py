"""A family of FPGAs, a board with one, what makes its bitstreams, and a recipe, from outside."""
