"""Models on labelled spectra that they were not trained on: predictions, tables and figures of an assessment in one folder."""
