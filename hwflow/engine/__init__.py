"""Steps that resume: what each follows from, its sealed record, the run directory, the log."""
