"""EmoSet (speech): recipes, shards, loading and a benchmark for speech emotion recognition."""
