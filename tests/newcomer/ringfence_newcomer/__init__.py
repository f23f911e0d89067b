# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A newcomer's machine: a minimal Debian tree, booted, in which the README's commands are run from a fresh clone.

Stands on the lab (``tests/lab/ringfence_lab``): its images, its way to boot a tree, its control groups.
"""
