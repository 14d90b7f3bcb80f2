"""The kinds of catalogues, by the roles of the networks that predicted them: what the merge must know of each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntFlag

import pyarrow as pa

from resurvey.catalogues import assemble, columns, flags, label_flags, labels
from resurvey.catalogues.columns import Column
from resurvey.errors import ResurveyError


@dataclass(frozen=True)
class Kind:
    """One kind of catalogue.

    key: its rows are in ascending order of these columns, null first. fixed: columns that do not depend on the networks; columns:
    all that predictions and spectra with given column names make. assemble(predictions, spectra, calibration, model.jsons): its rows.
    about(model.jsons): what its provenance says beside the networks' names. flags, meaning, bad: the bits of its column `flags`.
    """

    key: tuple[str, ...]
    fixed: list[Column]
    columns: Callable[[Iterable[str], Iterable[str]], list[Column]]
    assemble: Callable[[pa.Table, pa.Table, dict | None, list[dict]], pa.Table]
    about: Callable[[list[dict]], dict]
    flags: type[IntFlag]
    meaning: dict[IntFlag, str]
    bad: IntFlag

    def schema(self, prediction_names: Iterable[str], spectra_names: Iterable[str]) -> pa.Schema:
        """The Arrow schema that such predictions and spectra make, units and descriptions in the fields' metadata."""
        return pa.schema([column.field() for column in self.columns(prediction_names, spectra_names)])

    def key_schema(self) -> pa.Schema:
        """The columns of the key, in its order."""
        types = {column.name: column.type for column in self.fixed}
        return pa.schema([(name, types[name]) for name in self.key])


KINDS = {
    "redshift": Kind(
        columns.KEY, columns.FIXED, assemble.catalogue_columns, assemble.assemble, assemble.about, flags.Flag, flags.MEANING, flags.BAD
    ),
    "labels": Kind(
        labels.KEY, labels.FIXED, labels.catalogue_columns, labels.assemble, labels.about, label_flags.LabelFlag,
        label_flags.MEANING, label_flags.BAD,
    ),
}  # fmt: skip
ROLES = {
    "classifier": "redshift",
    "redshift": "redshift",
    "point": "redshift",
    "labels": "labels",
}  # of a network, in model.json


def kind_of(models: list[dict]) -> Kind:
    """The kind of catalogue that networks with these model.json make. Raises ResurveyError where they make none together."""
    roles = {model.get("role") for model in models}
    names = {ROLES.get(role) for role in roles}
    if len(names) != 1 or None in names:
        told = ", ".join(sorted(map(str, roles))) or "none"
        raise ResurveyError(
            f"no catalogue is made by networks of the roles {told}; known are {', '.join(ROLES)}, labels apart from the others"
        )
    return KINDS[names.pop()]
