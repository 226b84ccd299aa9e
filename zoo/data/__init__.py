"""Image sets: downloaded once, checked, and read."""
