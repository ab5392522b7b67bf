"""`make bench`: what xenlocal costs, beside Debian's xendomains, on one stubbed host.

`stubs` is the host: cheap shell scripts in the place of xl, lvm, ip; `subject` is xenlocal on it, `peers` what it is
measured against, `measure` counts, `trials` puts these together, `report` prints aims and values side by side.
"""
