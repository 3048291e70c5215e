"""The long-lived parent: boots the machine once, then watches its child."""
