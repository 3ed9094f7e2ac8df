"""One module a page: it asks a use case and draws what it says, and computes nothing of its own."""
