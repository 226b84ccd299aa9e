"""What is compared: members on a probe, recordings and images from files, as labelled arrays."""
