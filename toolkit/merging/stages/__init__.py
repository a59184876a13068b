"""The stages of a merge: conform, combine, recalibrate."""
