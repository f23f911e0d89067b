# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What members have, and what their lists revoke."""

from __future__ import annotations

from ringfence_lab.lab import Lab
from support import PKI, Controller


def own_serial_number(lab: Lab, name: str) -> str:
    """Of the certificate that a member has."""
    told = lab.execute(name, f"openssl x509 -noout -serial -in {PKI}/{name}.crt").stdout
    return told.strip().partition("=")[2].lower()


def revoked(controller: Controller, hosts: tuple[str, ...]) -> dict[str, str]:
    """What the list on each host revokes, as OpenSSL reads it."""
    command = f"openssl crl -inform DER -noout -text -in {PKI}/ca.crl | grep 'Serial Number' | sort"
    return {host: found.lower() for host, found in controller.on_each(hosts, command).items()}
