"""Table 4 of astroNN: as Table 1, of the network that saw spectra normalised by the survey's pipeline (§5.3)."""

from resurvey.figures import astronn_table1

data, draw = astronn_table1.data, astronn_table1.draw
