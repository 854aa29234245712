"""The jobs API: a job is a run, by the words of its clients."""
