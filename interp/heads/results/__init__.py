"""Result types of the heads family."""
