"""Small reference clients that speak the public interfaces only: a holder's device, a department's system."""
