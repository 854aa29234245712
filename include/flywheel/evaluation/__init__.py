"""What is asked of the evaluator, what it answered item by item, and what that decides."""
