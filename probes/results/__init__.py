"""Result types of probes."""
