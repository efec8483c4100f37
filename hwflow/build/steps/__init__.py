"""The steps of a build, one module each.

A step follows from all code that its module reaches, so these import no more than they run. What
takes long to import is imported when a step runs: a build that has nothing to do is done at once,
and a request that is wrong is refused at once.
"""
