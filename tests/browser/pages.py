# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Render the pages to look at: ``python tests/browser/pages.py FOLDER`` writes NAME.html and NAME.json for each."""

from __future__ import annotations

import json
import pathlib
import sys

from ansible_collections.ringfence.etcd.plugins.plugin_utils._proof.page import proof_page
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_evidence import evaluated
from ansible_collections.ringfence.etcd.tests.unit.plugins.plugin_utils.proof_samples import samples

# Each size when all is well; what is seldom.
MADE_UP = ("ok-3", "ok-5", "ok-7", "ok-50", "partly", "not-probed", "long-names", "two-authorities", "hostile")


def main(folder: pathlib.Path) -> None:
    """Made-up proofs with all that a page can show, and what the judge makes of faults in clusters of each size."""
    folder.mkdir(parents=True, exist_ok=True)
    made = samples()
    for name, proof in {**{name: made[name] for name in MADE_UP}, **evaluated()}.items():
        (folder / f"{name}.html").write_text(proof_page(proof), encoding="utf-8")
        (folder / f"{name}.json").write_text(json.dumps(proof), encoding="utf-8")
        print(name)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
