"""One specification a file: Token Status List. Pure functions."""
