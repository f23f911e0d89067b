# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is the `cryptography` library there, and new enough? Asked on the controller and on the CA's host before all else.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import platform
import re
import sys
import typing as t

# Must be kept in sync with plugins/doc_fragments/cryptography_dep.py, requirements.txt and README.md.
MINIMAL_CRYPTOGRAPHY = 36

_IS_THERE = True
try:
    import cryptography
except ImportError:
    _IS_THERE = False

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible.module_utils.basic import AnsibleModule


def why_no_cryptography(where: str) -> str | None:
    """One line that says what is wrong with the library that this Python has, and the way out; None where it is good.

    ``where`` names the machine: "the controller".
    """
    if _IS_THERE and cryptography_version() >= (MINIMAL_CRYPTOGRAPHY,):
        return None
    found = f"version {cryptography.__version__}" if _IS_THERE else "none"
    return (
        f"Python's cryptography {MINIMAL_CRYPTOGRAPHY} or newer is needed on {where}, and {sys.executable} has "
        f"{found}: install it for that Python (python3-cryptography, or pip install "
        f"'cryptography>={MINIMAL_CRYPTOGRAPHY}')"
    )


def require_cryptography(module: AnsibleModule) -> None:
    """End the module with that line where the library is missing or too old."""
    why = why_no_cryptography(platform.node() or "this host")
    if why is not None:
        module.fail_json(msg=f"{why}, or set ansible_python_interpreter to a Python that has it")


def cryptography_version() -> tuple[int, ...]:
    """The version of the library at hand, as numbers."""
    return tuple(int(part) for part in re.findall(r"\d+", cryptography.__version__)[:2])


__all__ = ("MINIMAL_CRYPTOGRAPHY", "cryptography_version", "require_cryptography", "why_no_cryptography")
