"""Result types of models."""
