"""RDMA set-up with real links, on a machine that is thrown away."""
