"""Recordings, and other representations made elsewhere: read by label, for the stimuli that networks were shown."""
