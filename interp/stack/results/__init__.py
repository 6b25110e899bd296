"""Results of a stack of interventions."""
