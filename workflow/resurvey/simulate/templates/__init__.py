"""Mock spectra from public templates: a folder of them, the recipe, objects drawn from it, their spectra."""
