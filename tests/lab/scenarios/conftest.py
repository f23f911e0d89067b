# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab of six hosts for all scenarios, and a controller that runs playbooks against it as a user would.

By environment: ``RINGFENCE_LAB_NAME``, ``RINGFENCE_LAB_KEEP=1`` (leave it up at the end), and for the core scenarios,
which run with many versions, ``RINGFENCE_LAB_ETCD``, ``RINGFENCE_LAB_RELEASE`` and ``RINGFENCE_ANSIBLE_PLAYBOOK``.
"""

from __future__ import annotations

import os
import sys
import typing as t
from pathlib import Path

import pytest

_LAB_FOLDER = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(_LAB_FOLDER), str(Path(__file__).resolve().parent)]
# What the unit tests have too: programs made by hand, and what deployers write.
sys.path.append(str(_LAB_FOLDER.parent / "unit" / "plugins" / "module_utils"))

from releases import Releases  # noqa: E402
from ringfence_lab.lab import Lab  # noqa: E402
from support import PKI, TRIO, Controller  # noqa: E402


def members_of(module: object) -> tuple[str, ...]:
    """The members that a file wants (``MEMBERS``, the first three hosts where it does not say)."""
    return t.cast("tuple[str, ...]", getattr(module, "MEMBERS", TRIO))


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    """Bare hosts with etcd's program, as many as the files want (``HOSTS``; as many as members where one does not say).

    ``PACKAGES``: Debian's, beside those that every host has. ``NSPAWN_ARGUMENTS``: what hosts are started with.

    On etcd-6, where there is one, the distribution's own one-member etcd runs.
    """
    modules = {item.module for item in request.session.items if isinstance(item, pytest.Function)}
    hosts = max(getattr(module, "HOSTS", len(members_of(module))) for module in modules)
    packages = {name for module in modules for name in getattr(module, "PACKAGES", ())}
    arguments = [word for module in modules for word in getattr(module, "NSPAWN_ARGUMENTS", ())]
    made = Lab(
        os.environ.get("RINGFENCE_LAB_NAME", "test"),
        hosts=hosts,
        etcd=os.environ.get("RINGFENCE_LAB_ETCD"),
        release=os.environ.get("RINGFENCE_LAB_RELEASE"),
        distribution_etcd=["etcd-6"] if hosts >= 6 else None,
        nspawn_arguments=arguments or None,
        packages=packages or None,
    )
    made.up()
    yield made
    if os.environ.get("RINGFENCE_LAB_KEEP") != "1":
        made.down()


@pytest.fixture(scope="session")
def any_controller(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller(lab, tmp_path_factory.mktemp("controller"), repository=_LAB_FOLDER.parents[1])


@pytest.fixture(scope="module")
def controller(any_controller: Controller, request: pytest.FixtureRequest) -> Controller:
    """With the members that the file wants."""
    any_controller.members = members_of(request.module)
    return any_controller


@pytest.fixture(scope="module")
def inventory(controller: Controller) -> Path:
    """Of a cluster as the first run leaves it. Files that want another one have a fixture of this name."""
    controller.bare()
    path = controller.inventory()
    controller.succeed(path)
    return path


@pytest.fixture
def no_file_is_changed(controller: Controller, inventory: Path) -> t.Iterator[None]:
    """For tests that stop members, or put something aside and back."""
    command = f"cat {PKI}/* /etc/systemd/system/etcd.service | sha256sum"
    before = controller.on_each(TRIO, command)
    yield
    assert controller.on_each(TRIO, command) == before
    assert controller.is_healthy()


@pytest.fixture
def nothing_is_changed(controller: Controller, no_file_is_changed: None) -> t.Iterator[None]:
    before = controller.processes()
    yield
    assert controller.processes() == before


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    """Archives of etcd's releases, each made when it is asked for."""
    return Releases(tmp_path_factory.mktemp("releases"))
