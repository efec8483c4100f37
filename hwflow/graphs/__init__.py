"""What holds of graphs in general."""
