"""From provisioning media to Ready, once in a machine's life."""
