"""What a similarity matrix says beyond chance: tests of fields, permutations, intervals, nulls."""
