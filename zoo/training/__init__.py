"""How one member learns: pure functions of its state, with no I/O and no knowledge of other members."""
