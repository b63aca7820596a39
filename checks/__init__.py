"""What `make check` does beyond lint, types and import contracts: no secret in a file, all dependencies locked, none known bad."""
