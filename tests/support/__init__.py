"""What tests are built from: a machine as a value, a runner that knows what may run, a clock."""
