# The agent does not recognise the machine that it has set up.
change waagent/provisioning/marker.py 's/return Standing.SAME if .*/return Standing.NEW/'
