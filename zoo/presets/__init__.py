"""Named zoos, one per file, plain Python, each defining `zoo`; the header says command, expected time and result."""
