"""Result types of training."""
