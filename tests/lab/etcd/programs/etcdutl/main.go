// Copyright (c) 2026, ringfence.etcd contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"os"

	"go.etcd.io/etcd/etcdutl/v3/etcdutl"
)

// etcdutl's module has no package that starts it whole: the two commands that the collection calls.
func main() {
	etcdutl.OutputFormat = "simple"
	command := etcdutl.NewVersionCommand()
	if len(os.Args) > 1 && os.Args[1] == "snapshot" {
		command = etcdutl.NewSnapshotCommand()
		os.Args = os.Args[1:]
	}
	if command.Execute() != nil {
		os.Exit(1)
	}
}
