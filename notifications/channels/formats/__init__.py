"""One specification a file; pure."""
