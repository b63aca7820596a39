"""AWS: the stack, its package, what it costs. boto3 is imported in session.py only."""
