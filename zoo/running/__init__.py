"""One run of training: which device trains which block when, what is packed together, signals, progress, plans."""
