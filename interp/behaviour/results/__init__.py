"""Result types of behaviour."""
