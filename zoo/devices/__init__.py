"""How a block of members becomes a compiled program on a device: start-up, recipes, compiling, memory, tuning."""
