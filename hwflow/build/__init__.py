"""A build: what is asked for, what each step follows from, its steps, and a session of it."""
