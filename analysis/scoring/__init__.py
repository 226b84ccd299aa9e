"""Networks against recordings: scores, noise ceilings, agreement of measures, partial scores."""
