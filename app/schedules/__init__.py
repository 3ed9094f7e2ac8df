"""When the lake is brought up to date by itself: triggers, the schedules that have them, and what fires them."""
