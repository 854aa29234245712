"""The hourly clean-up: what is left of runs that are over, and what has grown old."""
