"""Slurm as its users see it: what is in the queue, what the partitions allow, and whether a run can be done there."""
