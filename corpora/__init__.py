"""Tables and changelogs of the corpora, one folder per corpus."""
