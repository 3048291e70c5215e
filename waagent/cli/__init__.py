"""What a person or an init system types."""
