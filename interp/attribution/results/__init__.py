"""Result types of attributions."""
