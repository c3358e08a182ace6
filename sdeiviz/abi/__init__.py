"""Numbers and layouts of the interfaces a guest sees. Constants and decoding only, no behaviour."""
