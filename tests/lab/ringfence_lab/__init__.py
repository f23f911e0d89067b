# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab of real hosts on this machine: Debian trees booted by systemd-nspawn, each in a network namespace of its own.

``Lab`` is the whole interface; the command line in ``cli`` and the scenarios of pytest both stand on it.
"""

from __future__ import annotations

from .errors import LabError
from .lab import Lab
from .plan import Host

__all__ = ("Host", "Lab", "LabError")
