# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What `cryptography` raises for a certificate or a request that somebody else made.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

from ansible_collections.ringfence.etcd.plugins.module_utils._pki.asn1 import Malformed

UNREADABLE: tuple[type[Exception], ...] = (Malformed, ValueError, TypeError, LookupError)

try:
    from cryptography import x509
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm

    UNREADABLE += (
        UnsupportedAlgorithm,
        # Of OpenSSL itself, to which the oldest releases give what they have not read.
        InternalError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    )
except ImportError:
    pass  # library.why_no_cryptography says so

__all__ = ("UNREADABLE",)
