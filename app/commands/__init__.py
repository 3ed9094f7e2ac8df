"""The commands of `barlake`, a module for each kind; `app.cli` joins them up."""
