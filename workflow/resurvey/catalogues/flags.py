"""The catalogue's flags: named bits, each with its threshold and a one-line meaning, and the ready-made mask BAD."""

from enum import IntFlag

LOW_PROBABILITY = 0.5
LOW_SN_BELOW = 2.0
MISSING_FRACTION = 0.1
MOSTLY_MISSING_FRACTION = 0.5
SMALL_DCHI2 = 9.0  # as redrock's ZWARN bit SMALL_DELTA_CHI2
LARGE_CHI2, MISFIT = 3.0, 0.1  # templates miss a bright spectrum by more than its noise: docs/mocks-to-real.md


class Flag(IntFlag):
    """Bits of the column `flags`."""

    UNSTABLE = 1 << 0
    LOW_PROB = 1 << 1
    LOW_SN = 1 << 2
    MISSING_PIXELS = 1 << 3
    MOSTLY_MISSING = 1 << 4
    NO_COVERAGE = 1 << 5
    Z_RANGE = 1 << 6
    NO_NETWORK = 1 << 7
    BAD_OUTPUT = 1 << 8
    SURVEY_WARNING = 1 << 9
    CLASS_DIFFERS = 1 << 10
    SEEN_IN_TRAINING = 1 << 11
    MOCK_TRAINED_REAL_INPUT = 1 << 12
    AMBIGUOUS = 1 << 13
    BAD_FIT = 1 << 14
    BROAD = 1 << 15


MEANING = {
    Flag.UNSTABLE: "z_std (of the bins head, whose z_std cannot fall below the width of a bin: z_err) is not below the network's mean absolute error on the validation split (paper §4.2.3: not robust)",
    Flag.LOW_PROB: f"class_prob < {LOW_PROBABILITY}: no class has the majority",
    Flag.LOW_SN: f"sn_median < {LOW_SN_BELOW:g}",
    Flag.MISSING_PIXELS: f"more than {MISSING_FRACTION:.0%} of the grid's pixels are masked or not covered",
    Flag.MOSTLY_MISSING: f"more than {MOSTLY_MISSING_FRACTION:.0%} of the grid's pixels are masked or not covered",
    Flag.NO_COVERAGE: "the spectrum ends inside the grid: the network saw zeros beyond its end",
    Flag.Z_RANGE: "z lies outside the range of redshifts that its network was trained on",
    Flag.NO_NETWORK: "a galaxy or quasar by class, but the model has no redshift network for that class: z is null",
    Flag.BAD_OUTPUT: "the networks gave a number that is not finite",
    Flag.SURVEY_WARNING: "survey_zwarning is not 0: the survey doubts its own class and redshift",
    Flag.CLASS_DIFFERS: "star, galaxy or quasar: the survey says something else than class",
    Flag.SEEN_IN_TRAINING: "the spectrum is in the training or validation split: the networks have seen its labels",
    Flag.MOCK_TRAINED_REAL_INPUT: "networks trained on simulated spectra were applied to a real one",
    Flag.AMBIGUOUS: f"refined only: dchi2 < {SMALL_DCHI2:g}: templates fit about as well at another peak, or better (negative)",
    Flag.BAD_FIT: f"refined only: chi2 > {LARGE_CHI2:g} + ({MISFIT:g} sn_median)^2: templates miss the spectrum by more than noise and {MISFIT:.0%} of its flux",
    Flag.BROAD: "refined only: z_std / (1 + z) exceeds how far from a peak is searched: there are several peaks, or one that is flat",
}

BAD = (
    Flag.UNSTABLE
    | Flag.MOSTLY_MISSING
    | Flag.Z_RANGE
    | Flag.NO_NETWORK
    | Flag.BAD_OUTPUT
    | Flag.MOCK_TRAINED_REAL_INPUT
    | Flag.AMBIGUOUS
    | Flag.BROAD
)


def names(value: int) -> list[str]:
    """Names of the bits that are set in `value`."""
    return [flag.name for flag in Flag if value & flag]
