"""The catalog of datasets (catalog.toml) and their data cards; it holds no third-party text."""
