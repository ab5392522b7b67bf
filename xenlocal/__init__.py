"""xenlocal: makes a Debian Xen dom0 match the files in /etc/xenlocal."""

__version__ = "1.0.0"
