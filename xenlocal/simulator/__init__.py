"""A dom0 in memory with a virtual clock, behind the one command runner and the event sources.

state     plain data of the simulated host, to and from JSON
xlcfg     reads an xl.cfg as `xl create` does
host      `SimulatedDom0`: the state, its clock, what happens by itself
guests    births, deaths and behaviour of domUs
xl, xenstore, lvm, iproute, system   what each tool does and prints
commands  argv -> the tool that answers it, and how long it takes
runner    `SimRunner`: the command runner the adapters are given; faults strike here
work      `VirtualWork`: engine.ports.Work on the virtual clock
files     `SimFiles`, `SimTcp`: paths, readable files, TCP ports
store     the only module that touches real files: the state in a FILE, and the xl.cfg that `xl create` reads
seed      a real host as it was seen, as such a state: for `rehearse`
habits    how its guests behave there, as was learned of them
filebacked  `FileBackedDom0`: the state in a FILE, for `--simulate` and the demo
__main__  pokes at such a FILE

Imports of xenlocal only the model and the port names, `seed` and `habits` also what the planner learned; of adapters,
which are what it is there to try, only the forms of our own files and the names of the programs in a unit.
"""
