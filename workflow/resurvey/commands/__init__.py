"""One module per command of `resurvey`: HELP, arguments(parser), run(args). Imports of heavy packages stay inside run()."""
