# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit of somebody's cluster, and what it found."""

from __future__ import annotations

import json
import typing as t

from deployers import SomebodysCluster
from support import TRIO, Run

EVERYBODY = ", ".join(TRIO)
OPEN = {("allowed_common_names", EVERYBODY), ("strangers", EVERYBODY)}
"""What an audit fails where any certificate of the CA is let in."""


class Audited(SomebodysCluster):
    """What is audited on these hosts."""

    def running(self) -> dict[str, str]:
        """Each host's etcd: another text is another process."""
        return self.controller.processes()

    def audit(self, **variables: t.Any) -> tuple[Run, dict[str, t.Any]]:
        report = self.controller.folder / "audit.json"
        report.unlink(missing_ok=True)
        before = self.running()
        playbook = self.controller.named("audit")
        run = self.controller.play(
            self.inventory, playbook=playbook, etcd_peer_tls_report_json=str(report), **variables
        )
        assert report.exists() and "Traceback" not in run.output, run.output[-8000:]
        assert not any(run.changed.values()) and self.running() == before
        assert "PRIVATE KEY" not in run.output
        return run, json.loads(report.read_text())


def failed(audit: dict[str, t.Any]) -> set[tuple[str, str]]:
    return {(finding["code"], finding["subject"]) for finding in audit["findings"] if finding["verdict"] == "failed"}


def others(audit: dict[str, t.Any]) -> set[tuple[str, str]]:
    return {(one["verdict"], one["code"]) for one in audit["findings"] if one["verdict"] != "failed"}


def remedy(audit: dict[str, t.Any], code: str) -> str:
    (line,) = {finding["remedy"] for finding in audit["findings"] if finding["code"] == code}
    return str(line)


def assert_clean(run: Run, audit: dict[str, t.Any], warnings: t.Collection[tuple[str, str]] = ()) -> None:
    assert run.returncode == 0, run.output[-8000:]
    assert failed(audit) == set() and others(audit) == set(warnings), audit["findings"]
    assert audit["verdict"] == "proved" and audit["passed"] and audit["let_in"] == []
