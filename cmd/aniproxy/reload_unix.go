//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// hangUps are the SIGHUPs of this process until stop. One that comes while
// another is being followed is not lost; of more, one is enough.
func hangUps() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
