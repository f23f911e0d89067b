# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Somebody's cluster that is taken over and adopted, and what a writer beside it has seen."""

from __future__ import annotations

import json
import typing as t

from audits import Audited
from cryptography.hazmat.primitives import serialization
from support import TRIO, Run, Writer


class TakenOver(Audited):
    """A cluster before and after."""

    def play(self, *words: str, playbook: str = "takeover", **variables: t.Any) -> Run:
        return self.controller.play(
            self.inventory,
            *words,
            playbook=self.controller.named(playbook),
            etcd_peer_tls_snapshot_directory=str(self.controller.folder / "snapshots"),
            **variables,
        )

    def succeed(self, *words: str, **variables: t.Any) -> Run:
        run = self.play(*words, **variables)
        assert run.returncode == 0, run.output[-12000:]
        assert "PRIVATE KEY" not in run.output
        return run

    def refuse(self, *said: str, **variables: t.Any) -> Run:
        """Refused with these words, and no process and no file is another one afterwards."""
        before = (self.running(), self.files())
        run = self.play(**variables)
        assert run.returncode != 0 and "Traceback" not in run.output, run.output[-6000:]
        printed = " ".join(run.output.split())
        assert all(one in printed for one in said), run.output[-6000:]
        assert not any(run.changed.values()), run.output[-6000:]
        assert (self.running(), self.files()) == before
        return run

    def told(self, *said: str, **variables: t.Any) -> dict[str, t.Any]:
        """The variables that an adoption prints which refuses with these words; then nothing was changed."""
        run = self.refuse("nothing is adopted: ", *said, playbook="adopt", **variables)
        _before, _variable, rest = run.output.partition('"__etcd_peer_tls_told.variables": ')
        made: dict[str, t.Any] = json.JSONDecoder().raw_decode(rest)[0]
        return made

    def put_into_inventory(self, told: t.Mapping[str, t.Any], **more: t.Any) -> None:
        """What was printed, and what somebody puts beside it."""
        self.inventory = self.controller.inventory(host_variables=told["hosts"], **{**told["vars"], **more})

    def authority(self) -> dict[str, str]:
        """The variables with the CA that signed the members' certificates."""
        key = self.forge.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"etcd_peer_tls_ca_certificate": self.forge.ca_pem, "etcd_peer_tls_ca_private_key": key.decode()}

    def lists(self) -> set[str]:
        """The lists that the running processes were given by a variable."""
        environment = "tr '\\0' '\\n' < /proc/$(systemctl show -P MainPID etcd)/environ"
        command = f"{environment} | grep ^ETCD_PEER_CERT_ALLOWED_CN= || true"
        return {answer.strip() for answer in self.controller.on_each(TRIO, command).values()}


class Adopted(TakenOver):
    """One whose plays are an adoption's where none is named."""

    def play(self, *words: str, playbook: str = "adopt", **variables: t.Any) -> Run:
        return super().play(*words, playbook=playbook, **variables)


def assert_nothing_lost(writer: Writer, restarts: int = 1) -> None:
    assert writer.acknowledged and writer.acknowledged <= writer.stored
    print(f"{len(writer.acknowledged)} acknowledged, longest pause {writer.longest_pause_ms} ms")
    assert writer.restarts == (restarts, restarts)
