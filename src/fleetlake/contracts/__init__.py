"""One definition of every event and table; schemas, validation rules and documentation are derived from it."""
