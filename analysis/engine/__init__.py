"""All pairs at once: inner products over blocks of stimuli, tiles of pairs, and the journal of both."""
