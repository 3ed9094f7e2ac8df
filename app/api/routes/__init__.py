"""Routes, one module a subject; `app.api.main.ROUTERS` lists them."""
