"""Every figure the README quotes comes from here: `make bench`. Ratios of one run count; absolute figures vary with the machine."""
