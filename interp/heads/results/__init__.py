"""Result types of patching, paths, knock-out and circuits."""
