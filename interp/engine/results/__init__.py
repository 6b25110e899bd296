"""Result types of the engine."""
