"""Configurations of log shippers, and what they need besides. See docs/exporters.md."""
