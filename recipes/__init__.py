"""The recipe book: one module per corpus, each holding one frozen ``RECIPE``."""
