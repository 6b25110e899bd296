"""Commands of ``arithmoscope``, one file each: flags, one library call, output files."""
