"""Figures of a stack of interventions."""
