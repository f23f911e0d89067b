# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proof as files on the controller, for the actions that make one.

Note that this plugin util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import json
import os
import tempfile
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import FileError
from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.metrics import proof_metrics


def as_json(proof: dict[str, t.Any]) -> str:
    return json.dumps(proof, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def as_metrics(proof: dict[str, t.Any], *others: dict[str, t.Any]) -> str:
    return proof_metrics([proof, *others])


def write_report(path: str, text: str, option: str) -> None:
    """Put a report in place at once; it holds nothing secret, and a collector that reads it is another user."""
    target = os.path.abspath(os.path.expanduser(path))
    folder = os.path.dirname(target)
    try:
        os.makedirs(folder, mode=0o755, exist_ok=True)
        # The name begins with a dot and ends otherwise: node_exporter reads *.prom, and must not see half of one.
        descriptor, staged = tempfile.mkstemp(prefix=".ringfence-", dir=folder)
        try:
            # A file's name that is no UTF-8 came as surrogates. JSON writes them just so, page and metrics have none.
            with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:
                stream.write(text)
            os.chmod(staged, 0o644)
            os.replace(staged, target)
        except OSError:
            os.unlink(staged)
            raise
    except OSError as exc:
        reason = "a part of it is a file" if isinstance(exc, (FileExistsError, NotADirectoryError)) else exc.strerror
        raise FileError(
            f"{option}: can't write {target} on the controller: {reason}: name another path, or leave it out"
        ) from exc


__all__ = ("as_json", "as_metrics", "write_report")
