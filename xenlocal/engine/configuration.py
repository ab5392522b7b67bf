"""Which configuration is in force: the files as they are when they are valid, the last good ones else."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from xenlocal import config
from xenlocal.engine.ports import ConfigSource, Records
from xenlocal.model.conffiles import ConfigFile, Problem
from xenlocal.model.desired import Desired
from xenlocal.model.errors import ConfigError, ConfigUnsettled, XenlocalError

log = logging.getLogger("xenlocal")


@dataclass(frozen=True)
class Verdict:
    """What the last reading of the files gave: their problems, and what is in force instead of them ("" without)."""

    problems: tuple[Problem, ...] = ()
    instead: str = ""


class Configuration:
    """`desired` is in force; `problems` are those of the files as they are now; () when they are."""

    def __init__(self, source: ConfigSource, records: Records, host_id: str) -> None:
        self._source, self._records, self._host_id = source, records, host_id
        self._lock = threading.Lock()
        self._files: tuple[ConfigFile, ...] | None = None
        self._unkept: tuple[ConfigFile, ...] | None = None  # in force, and not on disk as the last good ones
        self._instead = "nothing is done until they are"
        self.desired: Desired | None = None
        self.problems: tuple[Problem, ...] = ()
        self.unsettled = False
        """Whether a file was still being written when they were read last."""

    @property
    def verdict(self) -> Verdict:
        return Verdict(self.problems, self._instead if self.problems else "")

    def load(self, keep: bool = True) -> tuple[Problem, ...]:
        """Read the files again. With any problem nothing changes but `problems`, which are returned.

        `keep` False: a valid configuration is not written down as the last good one, for those who only look.
        Any thread may call it.
        """
        with self._lock:
            return self._load(keep)

    def _load(self, keep: bool) -> tuple[Problem, ...]:
        if self._unkept is not None:
            self._keep(self._unkept)
        try:
            files = self._source.read()
            if not files:
                self._refuse_to_forget()
            if files != self._files:
                self._accept(files, config.read(files, self._host_id), keep)
            problems: tuple[Problem, ...] = ()
            self.unsettled = False
        except ConfigError as error:
            problems = config.every_problem(error, self._host_id)
            self.unsettled = isinstance(error, ConfigUnsettled)
        is_new = problems != self.problems
        if is_new:
            for problem in problems:
                log.error("%s", problem)
        if self.desired is None and (is_new or not problems):
            self._fall_back()
        if is_new and problems:
            log.error("the configuration is not valid; %s", self._instead)
        elif is_new:
            log.info("the configuration is valid again")
        self.problems = problems
        return problems

    @property
    def in_force(self) -> Desired:
        """Nothing at all is desired while there never was a valid configuration."""
        return self.desired if self.desired is not None else Desired()

    def _accept(self, files: tuple[ConfigFile, ...], desired: Desired, keep: bool) -> None:
        self._files, self.desired = files, desired
        self._instead = "the configuration before stays in force"
        if keep:
            self._keep(files)
        log.info("configuration accepted: %d domUs, %d bridges", len(desired.domains), len(desired.bridges))

    def _keep(self, files: tuple[ConfigFile, ...]) -> None:
        try:
            self._records.save_good(files)
            self._unkept = None
        except XenlocalError as error:
            if self._unkept is None:
                log.error("%s; a boot with broken files would fall back to an older configuration", error)
            self._unkept = files

    def _refuse_to_forget(self) -> None:
        """A directory that has lost all its files is an accident, not a wish: even the shipped one is gone."""
        if self._files or self._records.load_good():
            path = self._source.path
            message = f"holds no *.conf file any more; if that is meant, type: touch {path}/xenlocal.conf"
            raise ConfigError([Problem(path, 0, "", "", message)])

    def _fall_back(self) -> None:
        """At the start of the day with broken files: the last good configuration boots, loudly."""
        files = self._records.load_good()
        if files is None:
            log.error("there is no last good configuration either")
            return
        try:
            self.desired = config.read(files, self._host_id)
        except ConfigError as error:
            log.error("the last good configuration is not valid for this version: %s", error)
            return
        self._instead = "the LAST GOOD configuration is in force"
        log.warning("%s, not the files as they are now", self._instead)
