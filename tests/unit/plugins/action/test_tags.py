# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What --tags and --skip-tags choose of the role, in real runs: no change without the checks, and none half done."""

from __future__ import annotations

import itertools
import typing as t

from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.task import Task
from ansible_collections.ringfence.etcd.plugins.module_utils._cluster.parts import is_selected

WORDS = ["all", "always", "never", "tagged", "untagged", "mine", "other"]


def test_ansible_chooses_just_so() -> None:
    """Every combination of what matters, asked of the ansible-core that is here."""
    some: list[set[str]] = [set(), *({word} for word in WORDS), *map(set, itertools.combinations(WORDS, 2))]
    for tags in some:
        task: t.Any = Task(block=Block(play=Play()))
        for only, skipped in itertools.product(some, some):
            task.tags = sorted(tags)
            wanted = task.evaluate_tags(only, skipped, {})
            assert is_selected(tags, only, skipped) == wanted, (tags, only, skipped)
