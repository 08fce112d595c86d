"""Everything that knows HTTP or connects the packages: settings, database, routes, OAuth, workers, command line."""
