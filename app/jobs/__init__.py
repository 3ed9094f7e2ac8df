"""Work that is asked for once, survives a kill and is done by whichever worker is there; DBOS behind it."""
