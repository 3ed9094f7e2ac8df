"""The service over HTTP: routes validate, ask, answer; what they ask stands in `app.use_cases` and the lake."""
