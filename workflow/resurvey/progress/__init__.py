"""How far a run is, read from its files alone: works while jobs run here or under Slurm, after a restart, and when nothing runs."""
