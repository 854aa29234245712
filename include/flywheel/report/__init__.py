"""What people and applications are told of a run."""
