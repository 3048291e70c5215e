"""The Azure Linux guest agent."""
