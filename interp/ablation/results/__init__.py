"""Result types of ablations."""
