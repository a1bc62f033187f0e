"""Evaluations: what is measured, and its report."""
