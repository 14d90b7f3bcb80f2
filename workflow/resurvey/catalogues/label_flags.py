"""The flags of a catalogue of labels: named bits, each with its threshold and a one-line meaning, and the ready-made mask BAD."""

from enum import IntFlag

LOW_SN_BELOW = 30.0
MISSING_FRACTION = 0.1
MOSTLY_MISSING_FRACTION = 0.5


class LabelFlag(IntFlag):
    """Bits of the column `flags`."""

    OUTSIDE_TRAINING = 1 << 0
    DWARF = 1 << 1
    UNCERTAIN = 1 << 2
    LOW_SN = 1 << 3
    MISSING_PIXELS = 1 << 4
    MOSTLY_MISSING = 1 << 5
    BAD_OUTPUT = 1 << 6
    SURVEY_WARNING = 1 << 7
    SEEN_IN_TRAINING = 1 << 8
    MOCK_TRAINED_REAL_INPUT = 1 << 9


MEANING = {
    LabelFlag.OUTSIDE_TRAINING: "at least one label lies outside the range of the training set's labels",
    LabelFlag.DWARF: "log g, by the network or the survey, is above the training set's, or the survey gives Teff but no log g, as DR14 does for dwarfs: no such log g was learned (paper §4.1)",
    LabelFlag.UNCERTAIN: "the total uncertainty of at least one label is larger than the spread of that label in the training set: the spectrum said nothing of it",
    LabelFlag.LOW_SN: f"sn_median < {LOW_SN_BELOW:g}, where all labels have significant errors (paper §4.2)",
    LabelFlag.MISSING_PIXELS: f"more than {MISSING_FRACTION:.0%} of the grid's pixels are masked or were not measured",
    LabelFlag.MOSTLY_MISSING: f"more than {MOSTLY_MISSING_FRACTION:.0%} of the grid's pixels are masked or were not measured",
    LabelFlag.BAD_OUTPUT: "the network gave a number that is not finite",
    LabelFlag.SURVEY_WARNING: "starflag or aspcapflag is not 0: the survey doubts the spectrum or its own labels",
    LabelFlag.SEEN_IN_TRAINING: "the star is in the training or validation split: the network has seen its labels, if of a visit not this spectrum",
    LabelFlag.MOCK_TRAINED_REAL_INPUT: "a network trained on simulated spectra was applied to a real one",
}

# Not UNCERTAIN: one label of many that a spectrum says nothing of does not spoil the others; {label}_total tells which it is.
BAD = (
    LabelFlag.OUTSIDE_TRAINING
    | LabelFlag.DWARF
    | LabelFlag.MOSTLY_MISSING
    | LabelFlag.BAD_OUTPUT
    | LabelFlag.MOCK_TRAINED_REAL_INPUT
)
