"""Feature tables, models and runs made again from their manifests, and compared with what is stored bit by bit."""
