"""Pages about what could have happened: one form for all, in the dress of the tear sheet, no script, no request."""
