# The saved document keeps the password.
change waagent/provisioning/media.py 's/without_password(data)/data/'
