"""Shards: spectra of one dataset on one grid, in Parquet files that any program opens. Never imports torch."""
