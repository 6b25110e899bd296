"""Pages of the explorer, one file each: widgets, one library call, one figure."""
