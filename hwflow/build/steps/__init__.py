"""The steps of a build, one module each.

A step follows from all code that its module reaches, so these import no more than they run.
"""
