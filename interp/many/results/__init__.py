"""Result types of one analysis on several models."""
