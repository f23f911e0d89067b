# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's variables as the user gave them, and none that a host gave itself.

Ansible makes variables of the facts that a host answers with, and lets them beat role defaults and the inventory
(ansible-core 2.16 to 2.22, ``VariableManager.get_vars``). A member that lies could so choose the CA's host for all.
Here facts have only their own names: ``ansible_facts`` and names that begin with ``ansible_``.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import typing as t

from ansible import context
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._typed_answers import typed_answers

# For a play that asks without the role.
_DEFAULTS = pathlib.Path(__file__).parents[2] / "roles" / "etcd_peer_tls" / "defaults" / "main.yml"
# Facts of these names could be meant for nothing but this role.
_OWN_PREFIXES = ("etcd_peer_tls_", "__etcd_peer_tls_")
_FACT_PREFIX = "ansible_"


# Not counted: the tests run it in plays of their own (test_etcd_settings.py), in processes that nobody measures.
class UserVariables:  # pragma: no cover
    """The variables of any host as the present task of the present play would see them, were there no answers."""

    def __init__(self, task: t.Any, task_vars: t.Mapping[str, t.Any]) -> None:
        hostvars = task_vars["hostvars"]
        self._task = task
        self._play = task.get_play()
        self._inventory: t.Any = getattr(hostvars, "_inventory", None)
        self._manager: t.Any = getattr(hostvars, "_variable_manager", None)
        if self._inventory is None or not hasattr(self._manager, "_fact_cache"):
            raise AnsibleError(
                "this ansible-core keeps its variables in another way than 2.16 to 2.22 do, so that settings can't be "
                "told from facts: use one of these"
            )

    @functools.cached_property
    def _typed(self) -> dict[str, t.Any]:
        """What was typed into a survey; nothing beats these variables."""
        return typed_answers(context.CLIARGS.get("extra_vars") or (), plain(self._manager.extra_vars))

    def knows(self, host: str) -> bool:
        """Whether the inventory has the host."""
        return self._inventory.get_host(host) is not None

    def hosts(self) -> list[str]:
        """All hosts of the inventory, by name."""
        return [host.name for host in self._inventory.get_hosts("all", ignore_limits=True, ignore_restrictions=True)]

    def left_out(self, hosts: t.Collection[str]) -> set[str]:
        """Which of these hosts of the inventory ``--limit`` leaves out."""
        everybody = set(self.hosts())
        within = {host.name for host in self._inventory.get_hosts("all", ignore_restrictions=True)}
        # The controller itself is in no list where nobody put it there.
        return {host for host in hosts if host in everybody - within}

    def of(self, host: str) -> dict[str, t.Any]:
        """The host's variables, templates as they stand."""
        with self.no_answers():
            found: dict[str, t.Any] = self._manager.get_vars(
                play=self._play,
                host=self._inventory.get_host(host),
                task=self._task,
            )
        for name, answer in self._typed.items():
            if name.startswith(_OWN_PREFIXES) and plain(found.get(name)) != answer:
                found[name] = answer
        return found

    def standing(self, host: str) -> dict[str, t.Any]:
        """Those that the inventory alone gives, templates as they stand: no playbook, command line or task of a run."""
        with self.no_answers():
            found: dict[str, t.Any] = self._manager.get_vars(host=self._inventory.get_host(host))
        said = [self._manager.extra_vars]
        said += [
            getattr(self._manager, name, {}).get(host, {}) for name in ("_vars_cache", "_nonpersistent_fact_cache")
        ]
        return {name: value for name, value in found.items() if not any(name in one for one in said)}

    def defaults(self) -> dict[str, t.Any]:
        """The role's own defaults, templates as they stand."""
        role = self._task._role
        found: dict[str, t.Any] = (
            _defaults_in_file() if role is None else role.get_default_vars(dep_chain=self._task.get_dep_chain())
        )
        return found

    def has_facts(self, host: str) -> bool:
        """Whether facts of the host are known in this run."""
        return any(name.startswith(_FACT_PREFIX) for name in self._facts(host))

    def own_facts(self, host: str) -> list[str]:
        """The facts of the host that have names of this role's variables, sorted: no honest host has one."""
        return sorted(str(name) for name in self._facts(host) if str(name).startswith(_OWN_PREFIXES))

    @contextlib.contextmanager
    def no_answers(self) -> t.Iterator[None]:
        """While this lasts, the variables of all hosts are free of what they answered, in this process only."""
        kept = self._manager._fact_cache
        self._manager._fact_cache = _FactsByTheirNames(kept)
        try:
            yield
        finally:
            self._manager._fact_cache = kept

    def _facts(self, host: str) -> t.Mapping[str, t.Any]:
        return _facts_in(self._manager._fact_cache, host)


def _defaults_in_file() -> t.Any:  # pragma: no cover
    load: t.Any = DataLoader().load_from_file
    try:
        return load(str(_DEFAULTS), trusted_as_template=True)
    except TypeError:
        # Up to ansible-core 2.18 every text is a template.
        return load(str(_DEFAULTS))


class _FactsByTheirNames:  # pragma: no cover
    """A fact cache in which each host has only those facts that can't be taken for a user's variables."""

    def __init__(self, cache: t.Any) -> None:
        self._cache = cache

    def get(self, host: str, default: t.Any = None) -> dict[str, t.Any]:
        del default
        return {
            name: value for name, value in _facts_in(self._cache, host).items() if str(name).startswith(_FACT_PREFIX)
        }

    __getitem__ = get

    def __contains__(self, host: str) -> bool:
        return bool(_facts_in(self._cache, host))


def _facts_in(cache: t.Any, host: str) -> t.Mapping[str, t.Any]:  # pragma: no cover
    """What a fact cache has of a host: a mapping up to 2.18, a plugin from 2.19 on, which raises where it has none."""
    try:
        return cache.get(host) or {}
    except KeyError:
        return {}


__all__ = ("UserVariables",)
