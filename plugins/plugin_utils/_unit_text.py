# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of a member's unit, from the role's template.

The template is compiled once, when Ansible imports the action that asks, before it starts a process for each host and
task. No value is a template here: what a user's setting says is written as it stands.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import pathlib
import re
import typing as t
from dataclasses import replace

import jinja2
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_config import flags_with
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.change_state import Config
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.flags import (
    FlagSettings,
    etcd_flags,
    with_peer_names,
    without_tls_of_peers,
)
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.members import Member
from ansible_collections.ringfence.etcd.plugins.module_utils._systemd.unit import (
    check_rendered,
    with_configuration_hash,
)
from ansible_collections.ringfence.etcd.plugins.plugin_utils._input_validation import flag_settings_of
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_quoting import quoted

_PATH = pathlib.Path(__file__).parents[2] / "roles" / "etcd_peer_tls" / "templates" / "etcd.service.j2"


def _flat(values: t.Iterable[t.Any]) -> list[t.Any]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _template() -> jinja2.Template:
    # Ansible's own filters and tests as far as the template asks for them.
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update(
        {"ringfence.etcd.systemd_quote": quoted, "flatten": _flat, "dirname": os.path.dirname},
    )
    environment.tests["match"] = lambda value, pattern: re.match(pattern, value) is not None
    # Its first line tells Ansible and editors how it is rendered.
    return environment.from_string(_PATH.read_text(encoding="utf-8").partition("\n")[2])


_TEMPLATE = _template()


def unit_text(
    settings: t.Mapping[str, t.Any],
    members: t.Sequence[Member],
    member: Member,
    config: Config | None = None,
    present: t.Mapping[str, t.Any] | None = None,
    has_revocation_list: bool = True,
    has_tls_of_peers: bool = True,
    peer_names: t.Sequence[str] | None = None,
) -> str:
    """The unit of a member with its configuration hash; InputError where it would not start what is wanted.

    ``settings``: the role's, without their prefix and in their types. ``config``: what a step of a plan writes, where
    that is not yet what is wanted in the end; ``present``: the etcd settings that are in effect there now.
    ``has_revocation_list``: false where the CA's list, if it keeps one, is not on the host yet. ``has_tls_of_peers``:
    false for a member that is adopted with peers that speak http. ``peer_names``: those on the list of
    one that is adopted with a certificate which others have as well, or none for no list.
    """
    wanted = FlagSettings(**flag_settings_of(settings))
    wanted = replace(wanted, revocation_list=wanted.revocation_list and has_revocation_list)
    flags = (
        etcd_flags(member, members, wanted) if config is None else flags_with(config, member, members, wanted, present)
    )
    flags = flags if has_tls_of_peers else without_tls_of_peers(flags)
    flags = flags if peer_names is None else with_peer_names(flags, peer_names)
    arguments = [f"--{flag}={value}" for flag, value in flags]
    text = _TEMPLATE.render(
        __etcd_peer_tls_settings=settings,
        __etcd_peer_tls_member={"name": member.name},
        __etcd_peer_tls_arguments=arguments,
    )
    check_rendered(text, arguments)
    return with_configuration_hash(text)


__all__ = ("unit_text",)
