"""The zoo directory: manifest, checkpoints, checksums, lock, tables; written whole, verified, read without JAX."""
