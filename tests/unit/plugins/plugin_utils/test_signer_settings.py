# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a CA is given that nothing here can sign with; what is refused is in action/test_input_validation.py."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.ringfence.etcd.plugins.plugin_utils._signer_settings import lacks_private_key

NONE_GIVEN = {"ca_certificate": "", "ca_private_key": "", "requests_directory": "", "signer_command": []}


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({}, False),
        ({"ca_certificate": "pem"}, True),
        ({"ca_certificate": "pem", "ca_private_key": "pem"}, False),
        ({"ca_certificate": "pem", "requests_directory": "/srv/requests"}, False),
        ({"ca_certificate": "pem", "signer_command": ["sign"]}, False),
    ],
)
def test_a_certificate_alone_signs_nothing(given: dict[str, t.Any], lacks: bool) -> None:
    assert lacks_private_key({**NONE_GIVEN, **given}) is lacks
