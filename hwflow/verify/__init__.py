"""The comparison of all executions, bit by bit."""
