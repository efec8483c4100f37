"""A package of somebody else's: a stage, a network and a data set for hwflow, a module each."""
