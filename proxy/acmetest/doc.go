// Package acmetest holds how certificates are fetched against a certificate
// authority that is one: Pebble, which Let's Encrypt wrote for this, in the
// test's own process. Its tests stand apart from proxy's, for Pebble has a
// goroutine that nothing ends.
package acmetest
