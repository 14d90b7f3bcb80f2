"""What stands in astroNN's paper file against the numbers that the authors published (no per-star predictions were)."""

import pandas as pd
import pytest
from resurvey.metrics.paper import load_paper

pytestmark = pytest.mark.real


FILES = {  # of the published tables: quantities by column, model, places that are compared
    "apogeebcnn_highsnr_0606.csv": ({"test_median": "median", "test_sigma_mad": "sigma_mad"}, "astronn_uncensored"),
    "table4_aspcap_normalization_highsnr.csv": ({"test_median": "median", "test_sigma_mad": "sigma_mad"}, "astronn_aspcap"),
    "individual_visits_train_stars_0617.csv": (
        {"train_visits_median": "median", "train_visits_sigma_mad": "sigma_mad"}, "astronn_censored",
    ),
    "paper_tables_1_2.csv": (
        {"test_median": "table1_median", "test_sigma_mad": "table1_sigma_mad", "self_median": "table2_median",
         "self_sigma_mad": "table2_sigma_mad"}, "astronn_censored",
    ),
}  # fmt: skip
NAMES = {"teff": "teff", "logg": "logg", "C1": "ci_h", "Ti2": "tiii_h"}
DIFFERENT = {  # where text and notebook differ; docs of the paper's facts
    ("table4_aspcap_normalization_highsnr.csv", "tiii_h", "test_median"),
    ("individual_visits_train_stars_0617.csv", "logg", "train_visits_sigma_mad"),
}


@pytest.mark.parametrize("name", FILES)
def test_printed_numbers_are_those_of_the_published_tables(shared, name):
    quantities, model = FILES[name]
    printed = load_paper("astronn").printed(model, {})
    for row in pd.read_csv(shared / "published/astronn" / name).to_dict("records"):
        label = NAMES.get(row["label"], f"{row['label'].lower()}_h")
        for quantity, column in quantities.items():
            text = printed[quantity, label]["printed"]
            places = len(text.partition(".")[2])
            if (name, label, quantity) not in DIFFERENT:
                assert abs(float(text) - row[column]) <= 0.51 * 10**-places, (label, quantity)


def test_printed_spreads_of_clusters_are_those_of_the_published_tables(shared):
    printed = load_paper("astronn").printed("astronn_censored", {})
    for cluster in ("M67", "M13"):
        table = pd.read_csv(shared / "published/astronn" / f"cluster_{cluster}_x_over_h.csv")
        assert (table["nn_mad_std"] / table["n_stars"] ** 0.5).sub(table["nn_mad_std_over_sqrtN"]).abs().max() < 2e-4
        for row in table.to_dict("records"):
            label = f"{row['element'].lower()}_h"
            assert abs(float(printed[f"mean {cluster}", label]["printed"]) - row["nn_mean"]) < 6e-4
            over = float(printed[f"spread_over_sqrt_n {cluster}", label]["printed"])
            assert abs(over - row["nn_mad_std_over_sqrtN"]) < 6e-5
            assert (f"survey_mean {cluster}", label) not in printed or not row["aspcap_contaminated_by_-9999"]


def test_table_3_is_the_notebooks_rounded(shared):
    table = pd.read_csv(shared / "published/astronn/table3_small_data.csv")
    for row in table.to_dict("records"):
        label = NAMES.get(row["label"], f"{row['label'].lower()}_h")
        printed = load_paper("astronn").printed(f"astronn_n{row['n_spectra']}", {})
        for name in ("median", "sigma_mad"):
            text = printed[f"train_visits_{name}", label]["printed"]
            assert abs(float(text) - row[name]) <= 0.65 * 10 ** -len(text.partition(".")[2]), (row, text)
