"""Files of surveys → spectra (registry.read, registry.read_all), and the columns of their catalogues."""
