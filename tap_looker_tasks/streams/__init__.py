"""The Singer streams: names, keys, schemas, records."""
