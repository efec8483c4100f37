"""Pruning: which parts of a network go together, and the network without them."""
