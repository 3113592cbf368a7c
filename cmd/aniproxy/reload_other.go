//go:build !unix

package main

import "os"

// hangUps are none: there is no such signal here. Files of keys are looked at
// all the same.
func hangUps() (signals <-chan os.Signal, stop func()) { return nil, func() {} }
