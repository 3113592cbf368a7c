package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

type keyCommand struct {
	New keyNewCommand `cmd:"" help:"A random secret, and the digest that goes into config.toml."`
}

type keyNewCommand struct{}

// secretBytes: 256 bits, which nobody guesses, so that a plain digest of them
// is enough to keep.
const secretBytes = 32

func (keyNewCommand) Run(c *console) error {
	random := make([]byte, secretBytes)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	secret := base64.RawURLEncoding.EncodeToString(random)
	digest := sha256.Sum256([]byte(secret))
	c.printf("secret         %s\n", secret)
	c.printf("secret_sha256  %s\n\n", hex.EncodeToString(digest[:]))
	c.printf("The secret goes to the client and is shown here only. The digest goes into config.toml:\n\n")
	c.printf("[[clients]]\nname = \"webex\"\nsecret_sha256 = %q\nscopes = [\"lookup\", \"comment\"]\n\n", hex.EncodeToString(digest[:]))
	c.printf("To replace a key that is in use, so that nobody notices:\n\n")
	c.printf("1. put the new digest beside the old one and send the daemon SIGHUP: both keys are good\n")
	c.printf("   secret_sha256 = [\"the old digest\", %q]\n", hex.EncodeToString(digest[:]))
	c.printf("2. give the client its new secret\n")
	c.printf("3. take the old digest out and send SIGHUP again: the old key is worth nothing\n\n")
	c.printf("Digests in a file of their own (secret_sha256_file, one a line) take no signal, only some ten seconds.\n\n")
	c.printf("A key of your own for stats and resync is another client, with scopes = [\"lookup\", \"stats\", \"admin\"];\nthe commands take it as --key or ANIPROXY_KEY.\n")
	return nil
}
