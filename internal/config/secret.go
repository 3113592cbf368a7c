package config

import (
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
)

// mask is what stands for a secret wherever one would be shown.
const mask = "********"

// Secret is a text that no format, log or marshaller shows; [Secret.Reveal]
// alone gives it.
type Secret string

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString is String, for %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText is String, for JSON and TOML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue is String, for slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Digest is the SHA-256 of a client's secret. It is masked as a secret is: of
// a secret that somebody chose by hand it is nearly the secret.
type Digest [sha256.Size]byte

func (d Digest) String() string { return mask }

// GoString is String, for %#v.
func (d Digest) GoString() string { return strconv.Quote(mask) }

// MarshalText is String, for JSON and TOML.
func (d Digest) MarshalText() ([]byte, error) { return []byte(mask), nil }

// parseDigest reads 64 hex digits of either case. The digests of nothing and
// of a lone newline are refused: they come from a variable that was empty
// when it was hashed, and would let in a client without a secret.
func parseDigest(text string) (d Digest, hint string, ok bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(d) {
		if len(text) != 2*len(d) {
			hint = "it has " + strconv.Itoa(len(text)) + " characters"
		}
		return d, hint, false
	}
	copy(d[:], b)
	if d == sha256.Sum256(nil) || d == sha256.Sum256([]byte("\n")) {
		return d, "this is the digest of an empty secret", false
	}
	return d, "", true
}

// fileTwin ends the name of the key that names a file with the secret in it.
const fileTwin = "_file"

// readSecrets fills every secret whose twin x_file names a file. Both of one
// source is a fault; of two sources the environment's wins, as it does for
// every other key.
func (l *loader) readSecrets(table reflect.Value, path string) {
	for _, f := range fieldsOf(table.Type()) {
		v, at := table.Field(f.index), join(path, f.name)
		switch {
		case f.isTable():
			l.readSecrets(v, at)
		case f.isTables():
			for i := range v.Len() {
				l.readSecrets(v.Index(i), item(at, i))
			}
		case f.isSecret():
			twin, _ := lookupField(table.Type(), f.name+fileTwin)
			l.readSecret(f, v, table.Field(twin.index), at)
		}
	}
}

func (l *loader) readSecret(f field, secret, twin reflect.Value, at string) {
	file := at + fileTwin
	if secret.Len() > 0 && twin.Len() > 0 {
		a, b := l.config.origins[at].env, l.config.origins[file].env
		switch {
		case a != "" && b == "":
			twin.SetZero()
			delete(l.config.origins, file)
		case a == "" && b != "":
			secret.SetZero()
		default:
			l.report(file, "must not stand beside "+f.name+": give one of the two")
			return
		}
	}
	if twin.Len() == 0 {
		return
	}
	doc, err := l.read(twin.String(), maxSecretFile)
	if err != nil {
		l.report(file, "must be a file that can be read: "+cause(err))
		return
	}
	var lines []string
	for line := range strings.Lines(string(doc)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	switch {
	case len(lines) == 0:
		l.report(file, "must be a file with the secret in it: this one is empty")
		return
	case len(lines) > 1 && !f.isList():
		l.report(file, "must be a file with the secret alone in it, on one line: this one has "+strconv.Itoa(len(lines)))
		return
	}
	o := l.config.origins[file]
	o.note = "read from " + f.name + fileTwin
	for i, line := range lines {
		if hint, ok := f.add(&node{shape: fromOutside, text: line}, secret); !ok {
			l.report(file, "line "+strconv.Itoa(i+1)+" of the file "+f.complaint(nil, hint))
		}
	}
	l.config.origins[at] = o
}
