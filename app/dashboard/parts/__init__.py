"""What several pages are made of: the opened lake, how things look, what is drawn again by itself."""
