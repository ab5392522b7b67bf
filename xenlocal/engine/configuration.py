"""Which configuration is in force: the files as they are when they are valid, the last good ones else."""

from __future__ import annotations

import logging
import threading

from xenlocal import config
from xenlocal.engine.ports import ConfigSource, Records
from xenlocal.model.desired import ConfigFile, Desired, Problem
from xenlocal.model.errors import ConfigError, XenlocalError

log = logging.getLogger("xenlocal")


class Configuration:
    """`desired` is in force; `problems` are those of the files as they are now; () when they are."""

    def __init__(self, source: ConfigSource, records: Records, host_id: str) -> None:
        self._source, self._records, self._host_id = source, records, host_id
        self._lock = threading.Lock()
        self._files: tuple[ConfigFile, ...] | None = None
        self.desired: Desired | None = None
        self.problems: tuple[Problem, ...] = ()

    def load(self, keep: bool = True) -> tuple[Problem, ...]:
        """Read the files again. With any problem nothing changes but `problems`, which are returned.

        `keep` False: a valid configuration is not written down as the last good one, for those who only look.
        Any thread may call it.
        """
        with self._lock:
            return self._load(keep)

    def _load(self, keep: bool) -> tuple[Problem, ...]:
        try:
            files = self._source.read()
            if files != self._files:
                self._accept(files, config.read(files, self._host_id), keep)
            problems: tuple[Problem, ...] = ()
        except ConfigError as error:
            problems = error.problems
        if problems and problems != self.problems:
            for problem in problems:
                log.error("%s", problem)
            log.error("the configuration is not valid; %s", self._instead())
        elif self.problems and not problems:
            log.info("the configuration is valid again")
        self.problems = problems
        if self.desired is None:
            self._fall_back()
        return problems

    @property
    def in_force(self) -> Desired:
        """Nothing at all is desired while there never was a valid configuration."""
        return self.desired if self.desired is not None else Desired()

    def _accept(self, files: tuple[ConfigFile, ...], desired: Desired, keep: bool) -> None:
        self._files, self.desired = files, desired
        if keep:
            self._keep(files)
        log.info("configuration accepted: %d domUs, %d bridges", len(desired.domains), len(desired.bridges))

    def _keep(self, files: tuple[ConfigFile, ...]) -> None:
        try:
            self._records.save_good(files)
        except XenlocalError as error:
            log.error("%s; a boot with broken files would fall back to an older configuration", error)

    def _instead(self) -> str:
        return "the one before stays in force" if self.desired is not None else "trying the last good one"

    def _fall_back(self) -> None:
        """At the start of the day with broken files: the last good configuration boots, loudly."""
        files = self._records.load_good()
        if files is None:
            log.error("there is no last good configuration either: nothing is done until the files are valid")
            return
        try:
            self.desired = config.read(files, self._host_id)
        except ConfigError as error:
            log.error("the last good configuration is not valid for this version: %s", error)
            return
        log.warning("the LAST GOOD configuration is in force, not the files as they are now")
