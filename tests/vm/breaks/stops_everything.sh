# Stopping the service kills what an extension left running.
change /lib/systemd/system/walinuxagent.service '/^KillMode=/d'
