"""GPU leases: which NIM may train or be deployed while GPUs are scarce."""
