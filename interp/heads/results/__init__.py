"""Results of the heads family."""
