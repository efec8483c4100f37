"""What a file is while it is rewritten: its nodes, its constants, the graph in normal form that
grows, and what is known of each activation.

The operations (`hwflow.exchange.operations`) work on it; the walk over the file
(`hwflow.exchange.importing.normal`) calls them.
"""
