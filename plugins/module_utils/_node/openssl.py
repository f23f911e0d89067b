# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's own `openssl`: it makes a private key, and the request that goes to the CA for it.

Keys come through a pipe and go through anonymous files in memory: on no disk, and in no list of processes.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ansible_collections.ringfence.etcd.plugins.module_utils._common.errors import CryptoError
from ansible_collections.ringfence.etcd.plugins.module_utils._node.commands import run_command
from ansible_collections.ringfence.etcd.plugins.module_utils._node.key_programs import FOLDERS
from ansible_collections.ringfence.etcd.plugins.module_utils._node.memory import in_memory

if t.TYPE_CHECKING:  # pragma: no cover
    from ansible_collections.ringfence.etcd.plugins.module_utils._pki.profile import PeerProfile

# An RSA key with 4096 bits takes seconds on an idle host.
_SECONDS = 300.0
_ALGORITHMS = {
    "ecdsa-p256": ("EC", "ec_paramgen_curve:P-256", "ec_param_enc:named_curve"),
    "ecdsa-p384": ("EC", "ec_paramgen_curve:P-384", "ec_param_enc:named_curve"),
    "rsa-2048": ("RSA", "rsa_keygen_bits:2048"),
    "rsa-3072": ("RSA", "rsa_keygen_bits:3072"),
    "rsa-4096": ("RSA", "rsa_keygen_bits:4096"),
    "ed25519": ("ED25519",),
}
# Of its own, so that the host's decides nothing; without one `openssl req` does not begin.
_CONFIGURATION = "[req]\ndistinguished_name = name\nstring_mask = utf8only\n{asked}[name]\n"
# What ends a value in `-subj`, or escapes there.
_SUBJECT_SYNTAX = re.compile(r"([/+\\])")


def make_private_key(program: str, key_type: str) -> bytes:
    """A new private key as PEM PKCS#8; CryptoError where this host's openssl can't make one of that type."""
    algorithm, *options = _ALGORITHMS[key_type]
    words = [program, "genpkey", "-algorithm", algorithm]
    for option in options:
        words += ["-pkeyopt", option]
    return _answer(words, (), f"make a private key of the type {key_type}").encode("ascii")


def make_request(program: str, private_key: bytes, common_name: str, asked: PeerProfile | None = None) -> bytes:
    """A request for a private key as PEM. The name in it is for people who see it lying about.

    ``asked``: the certificate that it asks for, of a CA that issues what a request says.
    """
    name = _SUBJECT_SYNTAX.sub(r"\\\1", common_name if asked is None else asked.common_name)
    configuration = _CONFIGURATION.format(asked="" if asked is None else _extensions(asked))
    with in_memory(private_key) as key_path, in_memory(configuration.encode("ascii")) as configuration_path:
        words = [program, "req", "-new", "-key", key_path, "-config", configuration_path, "-subj", f"/CN={name}"]
        inherited = [int(path.rpartition("/")[2]) for path in (key_path, configuration_path)]
        return _answer(words, inherited, "make a request for the private key").encode("ascii")


def _extensions(asked: PeerProfile) -> str:
    """The extensions of the certificate, as a part of the configuration: names and addresses that were checked."""
    names = [f"DNS.{count} = {name}" for count, name in enumerate(asked.dns_names)]
    addresses = [f"IP.{count} = {address}" for count, address in enumerate(asked.ip_addresses)]
    lines = [
        "req_extensions = asked",
        "[asked]",
        "basicConstraints = critical,CA:FALSE",
        f"keyUsage = critical,{','.join(sorted(asked.key_usages))}",
        f"extendedKeyUsage = {','.join(sorted(asked.extended_key_usages))}",
        "subjectAltName = @names",
        "[names]",
        *names,
        *addresses,
    ]
    return "".join(f"{line}\n" for line in lines)


def _answer(words: t.Sequence[str], inherited: t.Sequence[int], purpose: str) -> str:
    """What it printed on its standard output, which may be a key, and is in no message."""
    environment = {"PATH": FOLDERS, "LC_ALL": "C", "RANDFILE": os.devnull}
    try:
        done = run_command(words, _SECONDS, environment, inherited=inherited)
    except (OSError, TimeoutError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise CryptoError(f"{words[0]} can't {purpose} on this host ({why})") from None
    with contextlib.suppress(UnicodeEncodeError):
        done.stdout.encode("ascii")
        if done.returncode == 0 and "-----BEGIN " in done.stdout:
            return done.stdout
    said = " ".join(done.stderr.split())[:200] or f"it ended with {done.returncode}"
    raise CryptoError(f"{words[0]} can't {purpose} on this host ({said})")


__all__ = ("make_private_key", "make_request")
