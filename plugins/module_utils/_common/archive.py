# Copyright (c) 2026, ringfence.etcd contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have Python compile each file of a module's archive once.

Ansible sends a module to a host as a ZIP archive, where nothing compiled is kept. zipimport compiles a file to say what
it is called (``zipimporter.get_filename``, which importlib asks while it looks for a module) and again to run it, from
Python 3.9 to 3.14. A file's name can be had without its code, and compiling is half of what a look at a host takes.

Imported by ``errors``, which every module of this collection imports first. Elsewhere it does nothing.

Note that this module util is PRIVATE to the collection. It can have breaking changes at any time.
"""

from __future__ import annotations

import os
import sys
import zipimport


class OnceImporter(zipimport.zipimporter):
    """The importer of archives, which compiles no file for its name."""

    def get_filename(self, fullname: str) -> str:
        """The path of a module's file in the archive; ZipImportError where there is none."""
        is_package = self.is_package(fullname)
        name = self.prefix + fullname.rpartition(".")[2]
        return os.path.join(self.archive, name + (f"{os.sep}__init__.py" if is_package else ".py"))


def compile_once() -> None:
    """Import from archives by this importer from now on."""
    sys.path_hooks.insert(0, OnceImporter)
    sys.path_importer_cache.clear()


if isinstance(getattr(__spec__, "loader", None), zipimport.zipimporter):
    compile_once()
