"""The network of a guest for real: namespaces, a cable, dnsmasq, and other DHCP clients."""
