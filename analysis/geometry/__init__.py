"""The shape of a population: embeddings, trees, which layer is like which, category structure."""
