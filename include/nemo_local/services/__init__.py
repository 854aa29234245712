"""One module per service of the stand-in."""
