"""Features to labels, models and out-of-sample predictions. The door is `python -m training_service.main`."""

import os

# OpenMP reads this once, when scikit-learn loads it: threads that wait must sleep, not spin, or two
# processes on two cores take about ten times as long (scikit-learn issue 15078). A value set outside wins.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
