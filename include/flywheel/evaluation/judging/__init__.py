"""A judge grades answers: what it is asked, how its answer is read, and what its grades make."""
