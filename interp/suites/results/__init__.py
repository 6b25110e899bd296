"""Result types of the suites."""
