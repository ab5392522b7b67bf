"""PURE: the words of xenlocal as frozen dataclasses. Imports nothing of xenlocal but itself.

units     sizes and durations with their units
names     `kind/name` of every object
probes    how a domU shows that it is ready
conffiles the files with the configuration, and what is wrong in them
desired   what they say
observed  what the host says; a table that could not be had is `Unavailable`, never empty; `storage` is its LVM
memory    what xenlocal remembers of each domU since the dom0 came up
actions   what can be done, typed; `host_actions` those on the dom0 itself
plan      steps in order, with reasons; refusals; what could not be known
history   what was done and what happened, for people; nothing is decided by it
errors    who must act: administrator, package, tool, or nobody but time
"""
