//go:build linux || darwin

package proxy

import "syscall"

// openFiles is how many descriptors the process may open, 0 where that cannot
// be told. The os package has raised it to what the process may raise it to
// before any of this runs.
func openFiles() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return limit.Cur
}
