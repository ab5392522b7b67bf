"""Kernels on trial, and those that have failed: a boot of the host must not take one of these."""

from __future__ import annotations

from typing import Any

from xenlocal.adapters.by_uuid import ByUuid
from xenlocal.model.names import COPY, RELEASE, is_whole_copy
from xenlocal.model.trial import Trial

_FIELDS = ("name", "uuid", "release", "copy", "before", "failed")


class Trials(ByUuid[Trial]):
    NAME = "trials"
    ADVICE = "look at which kernels it says have failed, then remove it: each domU boots the kernel that the files name"

    @staticmethod
    def encode(entry: Trial) -> dict[str, Any]:
        return {key: getattr(entry, key) for key in _FIELDS}

    @staticmethod
    def decode(content: Any) -> Trial:
        words = {key: content[key] for key in _FIELDS}
        if not all(isinstance(word, str) or (word is None and key == "before") for key, word in words.items()):
            raise ValueError("not words")
        trial = Trial(**words)
        # they become part of paths and of an xl.cfg
        if not all(is_whole_copy(copy) and COPY.fullmatch(copy) for copy in trial.copies):
            raise ValueError("no names of copies")
        if not RELEASE.fullmatch(trial.release):
            raise ValueError("no release of a kernel")
        return trial
