"""useradd, chpasswd, visudo and sudo on a machine that is thrown away: odd accounts, odd files."""
