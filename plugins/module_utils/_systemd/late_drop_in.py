# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The drop-in that gives somebody else's etcd its list of allowed common names by a variable. Pure.

``Environment=`` in a drop-in loses to the unit's ``EnvironmentFile=``. A further ``EnvironmentFile=`` in a drop-in that
is read last wins. systemd leaves the file of variables alone: its name does not end in .conf.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import typing as t

VARIABLE = "ETCD_PEER_CERT_ALLOWED_CN"
DROP_IN = "zz-ringfence.conf"
_VARIABLES = "zz-ringfence.env"
_FOLDER = "/etc/systemd/system"
_BY = "# By the playbook ringfence.etcd.takeover, which takes it away again with -e etcd_takeover_state=absent.\n"


class LateDropIn(t.NamedTuple):
    """Where the two files of a unit are, and what is in them."""

    path: str
    text: str
    variables_path: str
    variables: str

    @property
    def folder(self) -> str:
        return os.path.dirname(self.path)


def late_drop_in(unit: str, names: t.Sequence[str]) -> LateDropIn:
    """The drop-in of a unit, with the list of these names."""
    folder = os.path.join(_FOLDER, f"{unit}.d")
    variables_path = os.path.join(folder, _VARIABLES)
    return LateDropIn(
        path=os.path.join(folder, DROP_IN),
        text=f"{_BY}[Service]\nEnvironmentFile={variables_path.replace('%', '%%')}\n",
        variables_path=variables_path,
        variables=f'{_BY}{VARIABLE}="{",".join(names)}"\n',
    )


def is_ours(text: str) -> bool:
    """Whether a file is one of the two."""
    return text.startswith(_BY)


__all__ = ("DROP_IN", "VARIABLE", "LateDropIn", "is_ours", "late_drop_in")
