"""One run on many processes and machines: who is who, what is sent where, and what comes back."""
