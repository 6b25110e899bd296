"""Result types of the geometry of digits."""
