"""The families of networks that can be trained, by the role of the network in its paper's file.

A family is a module of these functions; the rest of a training is common to all (job.py, loop.py):

    read(paths, settings, network, quiet) -> Sample     spectra of the splits `train` and `valid` out of the shards
    plan(settings, network, sample) -> Plan             spec, hyper-parameters, seed
    prepare(network, sample)                            what the network must know of its training set before it learns
    samples(split, plan, network) -> Samples            tensors of a split: flux and target
    widest(spec) -> int                                 for the choice of a precision
    about(plan, sample, val_loss, scores) -> dict       what of model.json is the family's own
"""

from types import ModuleType

from resurvey.training import classes, labels
from resurvey.training.plan import network_of

FAMILIES = {"classifier": classes, "redshift": classes, "point": classes, "labels": labels}


def family_of(settings: dict, network: str) -> ModuleType:
    """The family of a network of a model. Raises ResurveyError for a network that does not exist."""
    return FAMILIES[network_of(settings, network)["role"]]
