package webexflow

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// id makes an id of names, in the form of a UUID of version 5: the same names
// have the same id in every run and on every machine, so that two files can be
// compared line by line.
func id(names ...string) string {
	b := hash(names)
	b[6] = b[6]&0x0f | 0x50
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// objectID is one of the 24 digits that Webex gives its flows.
func objectID(names ...string) string {
	b := hash(names)
	return hex.EncodeToString(b[:12])
}

func hash(names []string) [sha256.Size]byte {
	return sha256.Sum256([]byte("aniproxy\x00" + strings.Join(names, "\x00")))
}
