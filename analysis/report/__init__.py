"""The pictures of a compared zoo directory, and the numbers that matter."""
