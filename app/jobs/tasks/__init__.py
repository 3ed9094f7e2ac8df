"""The kinds of work there are: each module registers its tasks with `app.jobs.registry.task` when it is imported."""
