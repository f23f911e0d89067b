# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the actions share: options checked and made plain, and whatever is wrong as a result with one line.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import abc
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import InputError, RingfenceError
from ansible_collections.ringfence.etcd.plugins.module_utils._x509.library import why_no_cryptography
from ansible_collections.ringfence.etcd.plugins.plugin_utils._filters import plain


class OneLineAction(ActionBase):
    """An action that answers with a result in any case.

    An error that is raised further would be told by ansible-core before 2.19 with a traceback that there is none of,
    and would end a loop for all its items.
    """

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        try:
            result.update(self._answer(task_vars or {}))
        except RingfenceError as exc:
            result.update(failed=True, msg=str(exc), problem=exc.problem, details=exc.details)
        except AnsibleConnectionFailure:
            # Ansible makes "unreachable" of it.
            raise
        except AnsibleError as exc:
            result.update(failed=True, msg=" ".join(str(exc.message).split()))
        return result

    @abc.abstractmethod
    def _answer(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the action is for; a RingfenceError or AnsibleError where it can't be done."""

    def _given(self, specification: t.Mapping[str, t.Any], **rules: t.Any) -> dict[str, t.Any]:
        """The task's options, checked as a module's are, as built-in values."""
        _validation, arguments = self.validate_argument_spec(  # type: ignore[no-untyped-call]
            argument_spec=dict(specification), **rules
        )
        found: dict[str, t.Any] = plain(arguments)
        return found


def refuse_old_cryptography() -> None:
    """InputError where the controller's own Python has no `cryptography`, or one that is too old: it reads by it."""
    why = why_no_cryptography("the controller")
    if why is not None:
        raise InputError(why)


__all__ = ("OneLineAction", "refuse_old_cryptography")
