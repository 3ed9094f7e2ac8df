"""What the faces ask and do, each question once: the API and the dashboard call the same functions."""
