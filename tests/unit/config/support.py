"""What the tests of the configuration share."""

from xenlocal.config import read
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.desired import Desired, Domain
from xenlocal.model.errors import ConfigError

HOST_ID = "host"
WEB = "[domain web]\nmemory = 4G\nkernel = /boot/vmlinuz\n"


def desired(*texts: str) -> Desired:
    """Reads texts as files web.conf, b.conf, c.conf ..."""
    return read(files(*texts), HOST_ID)


def files(*texts: str) -> list[ConfigFile]:
    names = ["web.conf", *(f"{letter}.conf" for letter in "xyz")]
    return [ConfigFile(name, text) for name, text in zip(names, texts, strict=False)]


def domain(name: str, *lines: str) -> str:
    """A whole valid domain with further lines."""
    return "\n".join([f"[domain {name}]", "memory = 1G", "kernel = /boot/vmlinuz", *lines, ""])


def web(lines: str) -> Domain:
    """The domain web with further lines."""
    return desired(WEB + lines + "\n").domains["web"]


def problems(*texts: str) -> tuple[Problem, ...]:
    """None where all is well. The key of each, which `check --json` gives to programs, is one that is written there or
    that the message speaks of."""
    try:
        desired(*texts)
    except ConfigError as error:
        for problem in error.problems:
            assert problem.key.removesuffix("…") in f"{problem.message} {' '.join(texts)}"
        return tuple(error.problems)
    return ()


def complaints(*texts: str) -> list[str]:
    """As printed."""
    return [str(problem) for problem in problems(*texts)]
