"""What the tests of the configuration share."""

from xenlocal.config import read
from xenlocal.model.desired import ConfigFile, Desired, Domain
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


def complaints(*texts: str) -> list[str]:
    """The problems as printed; none where all is well."""
    try:
        desired(*texts)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []
