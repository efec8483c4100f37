"""Children that never outlive their parent."""

from hwflow.processes.children import Finished, Terminated, in_parallel, run_process, terminable

__all__ = ["Finished", "Terminated", "in_parallel", "run_process", "terminable"]
