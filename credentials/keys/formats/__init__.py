"""One specification a file: JWS, X.509, the trust list. Pure functions."""
