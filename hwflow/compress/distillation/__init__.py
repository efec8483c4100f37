"""Distillation: soft targets, hints and attention transfer, from teachers to any stage that
trains."""

from hwflow.compress.distillation.checks import check_teachers
from hwflow.compress.distillation.objective import DistilledLoss, objective_for
from hwflow.compress.distillation.teachers import told_teachers

__all__ = ["DistilledLoss", "check_teachers", "objective_for", "told_teachers"]
