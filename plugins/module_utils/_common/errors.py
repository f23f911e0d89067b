# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one family of errors that the layers below a module raise.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import traceback
import typing as t

# Before what is imported after this file: each file of it is compiled once.
from ansible_collections.ringfence.etcd.plugins.module_utils._common import archive  # noqa: F401

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible.module_utils.basic import AnsibleModule


def one_line(text: str) -> str:
    """A text as one line that can be printed: white space folded, and what a terminal would act on, escaped.

    Names of files come from whoever made the files.
    """
    folded = " ".join(text.split())
    if folded.isprintable():
        return folded
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in folded)


class RingfenceError(Exception):
    """Something that the user has to know, in one line: what, where, what was found, what was wanted, the way out.

    ``problem`` names the kind in one word for machines; ``details`` has plain JSON values. Neither ever holds a secret.
    """

    problem = "failed"

    def __init__(self, message: str, **details: t.Any) -> None:
        super().__init__(one_line(message))
        self.details = {key: one_line(value) if isinstance(value, str) else value for key, value in details.items()}


class InputError(RingfenceError):
    """The user's input is wrong. Nothing was read or changed yet."""

    problem = "input"


class RefusedError(RingfenceError):
    """A check refused: going on could lose a key, a CA, a member or the quorum. Nothing was changed."""

    problem = "refused"


class CryptoError(RingfenceError):
    """A key or a certificate can't be read, does not fit, or can't be made."""

    problem = "crypto"


class FileError(RingfenceError):
    """A file or folder can't be read or written (missing user, read-only folder, full disk, ...)."""

    problem = "file"


class ServiceError(RingfenceError):
    """systemd or etcd on this host did not do what was asked."""

    problem = "service"


@contextlib.contextmanager
def failures_told(module: AnsibleModule) -> t.Iterator[None]:
    """End the module with the error's line as ``msg``, its kind and details as ``problem`` and ``details``.

    An error of no kind of ours is a mistake of ours: it says what it is and where. Ansible would send no message with
    it (ansible-core from 2.19 on), or a whole traceback.
    """
    try:
        yield
    except RingfenceError as exc:
        module.fail_json(msg=str(exc), problem=exc.problem, details=exc.details)
    except Exception as exc:
        said = one_line(f"{type(exc).__name__}: {exc}")
        module.fail_json(msg=f"{said} (at {_place(exc)}): please report this", problem="unexpected", details={})


def _place(error: Exception) -> str:
    """The file of this collection, and its line, from which an error came."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/plugins/module" in frame.filename] or frames
    return f"{ours[-1].filename.rpartition('/plugins/')[2]}, line {ours[-1].lineno}"


__all__ = (
    "CryptoError",
    "FileError",
    "InputError",
    "RefusedError",
    "RingfenceError",
    "ServiceError",
    "failures_told",
    "one_line",
)
