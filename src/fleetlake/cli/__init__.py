"""The command line: options, printing and progress. What a command does is in `workflows`."""
