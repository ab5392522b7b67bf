"""`python -m tests.fuzz TARGET [libFuzzer's options]`: look for bytes that a target cannot bear. See `make fuzz`.

What it learns is kept below build/fuzz, from where a later run goes on. What makes it fall is left there as crash-*:
mend it, and put the bytes into the corpus of the repository.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["xenlocal", "configobj"]):
    from tests.fuzz import targets
    from xenlocal.config import KEYS

HERE = Path(__file__).parent
BUILD = Path("build/fuzz")
# fmt: off
_WORDS = [
    "[domain ", "[bridge ", "[iscsi bay1]\n", "[host]\n", "[defaults]\n",
    "[[disk xvda]]\n", "[[nic eth0]]\n", "[[ready]]\n", "[[install]]\n", "[[xl]]\n",
    "= ", ", ", "none", "'", '"', '"""', "'''", "#", "\0", "5M", "20G", "30s", "vg0/a", "/dev/a", "domain/", "bridge/",
    "volume/", "device/", "running", "stopped", "absent", "manual", "pvh", "hvm", "\n",
]
_JSON = [
    "{", "}", "[", "]", "null", "true", "1e999", "-1", "NaN", "Infinity", '"\\ud800"', '"verb":', '"names":',
    '"start"', '"stop"', '"restart"', '"destroy"', '"apply"', '"boot"', '"shutdown"', '"skip"', '"why"', '"web"',
    '"kernel"', '"unlock"', '"progress":', '"code":', '"result":', '{"code":0,"result":{}}\n', "\n",
]
# fmt: on


def main() -> None:
    name, *options = sys.argv[1:]
    logging.disable()
    learned = BUILD / name
    learned.mkdir(parents=True, exist_ok=True)
    words = _JSON if name == "control" else [*_WORDS, *(f"{key.name} = " for key in KEYS)]
    dictionary = BUILD / f"{name}.dict"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words), encoding="ascii")
    target = targets.Control() if name == "control" else targets.configuration

    def one(data: bytes) -> None:
        with targets.within_limits():
            target(data)

    atheris.Setup(
        [
            sys.argv[0], f"-dict={dictionary}", "-max_len=70000", "-timeout=30", f"-artifact_prefix={BUILD}/",
            *options, str(learned), str(HERE / "corpus" / name),
        ],
        one,
    )  # fmt: skip
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word.encode())


if __name__ == "__main__":
    main()
