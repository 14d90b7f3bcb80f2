"""Which column of which predictions file is what: the one table by which foreign files become the tidy table.

For each tidy name the columns that may hold it, the first one present counts. `class` and `subclass` give `label`.
Known writers: GaSNet-II's `*-MC.fits` and `test_results.fits` (label = SDSS z, unclipped; pred_bar and pred_std = mean and
ddof-0 standard deviation of 10 members), its `match_velocity_test_results.fits` (columns with _1 come from the join),
GaSNet-III's result files (Best_fit_z), and any FITS, Parquet or CSV with the same or with the tidy names.
"""

TIDY = {
    "spectrum_id": ("spectrum_id",),
    "plate": ("plate", "PLATE", "PLATE_1"),
    "mjd": ("mjd", "MJD", "MJD_1"),
    "fiberid": ("fiberid", "FIBERID", "FIBERID_1"),
    "class": ("CLASS", "CLASS_1", "class"),
    "subclass": ("SUBCLASS", "SUBCLASS_1", "subclass"),
    "z_true": ("z_true", "label", "Z"),
    "z_pred": ("z_pred", "pred_bar", "Best_fit_z"),
    "z_std": ("z_std", "pred_std"),
    "z_err": ("z_err",),
    "z_point": ("z_point", "pred"),
    "z_chain": ("z_chain",),
    "z_refined": ("z_refined",),
    "sn_median": ("sn_median", "SNR", "SN_MEDIAN_ALL"),
    "vdisp": ("vdisp", "VDISP"),
    "class_pred": ("class_pred",),
    "prob": ("prob",),
}
NUMBERS = ("z_true", "z_pred", "z_std", "z_err", "z_point", "z_chain", "z_refined", "sn_median", "vdisp", "prob")
INTEGERS = ("plate", "mjd", "fiberid")
HISTORY = ("epoch", "loss", "val_loss")
COLUMNS = ["spectrum_id", *INTEGERS, "label", *NUMBERS[:7], "sn_median", "vdisp", "class_pred", "prob"]
