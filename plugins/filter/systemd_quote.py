# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: systemd_quote
short_description: Write a value so that systemd reads exactly that value
version_added: 0.1.0
author:
  - ringfence.etcd contributors (@ringfence)
description:
  - Quotes a value for a systemd unit. C(%), C($), quotes, backslashes and spaces come through unharmed.
  - Fails for control characters and line breaks, which no unit can hold.
options:
  _input:
    description: The value.
    type: str
    required: true
  kind:
    description:
      - V(argument) for an argument of C(ExecStart=).
      - V(program) for the program in front of them.
      - V(word) for a setting that takes words, such as C(ReadWritePaths=) or C(Environment=).
      - V(plain) for a setting that knows no quotes, such as C(User=) or C(Description=).
      - V(glob) for the part of such a setting's path that stands before a pattern, as in C(AssertPathExistsGlob=).
      - V(raw) for text that is systemd's syntax already, such as an extra setting of the user's with C(%) specifiers.
        It is only refused where it holds a line break or another control character.
    type: str
    choices: [argument, program, word, plain, glob, raw]
    default: argument
"""

EXAMPLES = r"""
- name: Show a quoted argument
  ansible.builtin.debug:
    msg: "{{ '--name=50%' | ringfence.etcd.systemd_quote }}"  # --name=50%%
"""

RETURN = r"""
_value:
  description: The value as it stands in the unit.
  type: str
"""

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import call, plain
from ansible_collections.ringfence.etcd.plugins.plugin_utils._unit_quoting import QUOTERS, quoted


def systemd_quote(value: t.Any, kind: str = "argument") -> str:
    if kind not in QUOTERS:
        raise AnsibleFilterError(f"systemd_quote: kind {kind!r} is not one of {', '.join(QUOTERS)}")
    return t.cast(str, call(quoted, plain(value), kind))


class FilterModule:
    """Ansible jinja2 filters."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"systemd_quote": systemd_quote}
